"""Which words of a conversation are judged."""

from __future__ import annotations

from dataclasses import dataclass

from mmrouter.dialects.base import Conversation, items


@dataclass(frozen=True, slots=True)
class Judged:
    """What a classifier looks at.

    Attributes:
        text: the user's own last words.
    """

    text: str


def judge(conversation: Conversation) -> Judged:
    """The words that count."""
    for message in reversed(conversation.messages):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return Judged(content)
            return Judged("\n".join(str(p.get("text", "")) for p in items(content)))
    return Judged("")
