"""The wire formats, by name."""

from __future__ import annotations

from collections.abc import Mapping

from mmrouter.dialects.base import Conversation, Dialect, Fragment, Reader
from mmrouter.dialects.chat import ChatDialect
from mmrouter.dialects.embeddings import EmbeddingsDialect
from mmrouter.dialects.messages import MessagesDialect
from mmrouter.dialects.responses import ResponsesDialect
from mmrouter.types import Dialect as Name

DIALECTS: Mapping[Name, Dialect] = {
    Name.CHAT: ChatDialect(),
    Name.MESSAGES: MessagesDialect(),
    Name.RESPONSES: ResponsesDialect(),
    Name.EMBEDDINGS: EmbeddingsDialect(),
}

__all__ = ["DIALECTS", "Conversation", "Dialect", "Fragment", "Reader"]
