"""What a judge is shown of a request."""

from __future__ import annotations

from mmrouter.classifier.text import judge
from mmrouter.dialects import DIALECTS
from mmrouter.types import Request

_MOST_CHARS = 12_000


def asked(request: Request) -> str:
    """The user's last words, with what they answer."""
    judged = judge(DIALECTS[request.dialect].conversation(request.body))
    return f"{judged.context}\n{judged.text}".strip()


def ends(text: str) -> str:
    """A long text's two ends."""
    if len(text) <= _MOST_CHARS:
        return text
    half = _MOST_CHARS // 2
    return f"{text[:half]}\n[...]\n{text[-half:]}"
