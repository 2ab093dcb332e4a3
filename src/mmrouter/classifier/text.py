"""Which words of a conversation are judged.

The user's own last words, in their context: see "What text is judged" in the design. Tool schemas,
system prompts, reminders, pasted files and tool results count by their presence only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmrouter.classifier import follow_up
from mmrouter.classifier.clutter import Cleaned, clean
from mmrouter.dialects.base import Conversation, Json, items, mapping

MOST_CONTEXT = 1_200
"""Characters of context that are kept."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a classifier looks at.

    Attributes:
        text: the user's own last request, without clutter: what is judged.
        context: where the request is a follow-up ("yes", "continue", "and in French?"), the
            request or offer that it answers, without clutter; else "".
        follow_up: the request leans on `context`.
        tools: how many tools the request declares.
        images: how many images came with the request.
        code_chars: characters of code pasted into the request.
        pasted_chars: characters of other clutter and pastes taken out of it.
        turns: user turns up to and with the request.
    """

    text: str
    context: str = ""
    follow_up: bool = False
    tools: int = 0
    images: int = 0
    code_chars: int = 0
    pasted_chars: int = 0
    turns: int = 1


def judge(conversation: Conversation) -> Judged:
    """The words that count. Never raises, whatever JSON the messages are."""
    messages = [mapping(message) for message in conversation.messages]
    tools = len(conversation.tools) if isinstance(conversation.tools, Sequence) else 0
    place, asked = _last_request(messages, len(messages))
    if place < 0:
        return Judged(_anything(messages), tools=tools, turns=0)
    context = _context(messages, place, asked.text)
    return Judged(
        text=asked.text,
        context=context,
        follow_up=bool(context),
        tools=tools,
        images=_images(messages[place].get("content")),
        code_chars=asked.code_chars,
        pasted_chars=asked.pasted_chars,
        turns=sum(1 for message in messages[: place + 1] if message.get("role") == "user"),
    )


def _last_request(messages: Sequence[Json], before: int) -> tuple[int, Cleaned]:
    """The last user turn before a place in which a person says something; -1 where none is."""
    for place in range(before - 1, -1, -1):
        if messages[place].get("role") == "user":
            text = _own_text(messages[place].get("content"))
            if text:
                cleaned = clean(text)
                if cleaned.text:
                    return place, cleaned
    return -1, Cleaned("")


def _context(messages: Sequence[Json], place: int, text: str) -> str:
    """The request or offer that a follow-up answers; "" where the text stands alone."""
    if not place or len(text) > 400:
        return ""
    answer = _answer_before(messages, place)
    offered = follow_up.offer(answer) if answer else ""
    if follow_up.is_small_talk(text) and (follow_up.is_thanks(text) or not (
        offered or follow_up.question(answer)
    )):  # fmt: skip
        return ""
    accepts = follow_up.is_yes(text) or (bool(offered) and follow_up.takes_up(text, offered))
    if accepts and offered:
        return offered[:MOST_CONTEXT]
    asked = follow_up.last_question(answer) if answer and not offered else ""
    told = bool(asked) and follow_up.answers(text, asked)
    if not (accepts or told or follow_up.leans_back(text)):
        return ""
    earlier = _earlier_request(messages, place)
    if accepts and answer:
        asked = follow_up.question(answer)
        return f"{earlier}\n{asked}".strip()[:MOST_CONTEXT]
    return earlier[:MOST_CONTEXT]


def _earlier_request(messages: Sequence[Json], place: int) -> str:
    """The nearest earlier request that stands alone, or the offer that a "yes" accepted."""
    for _ in range(6):
        place, cleaned = _last_request(messages, place)
        if place < 0:
            return ""
        text = cleaned.text
        if follow_up.is_small_talk(text):
            continue
        if place and follow_up.size(text) <= 4:
            if follow_up.is_yes(text):
                offered = follow_up.offer(_answer_before(messages, place))
                if offered:
                    return offered
                continue
            if follow_up.continues(text):
                continue
        return text
    return ""


def _answer_before(messages: Sequence[Json], place: int) -> str:
    """The words of the assistant between a user turn and the one before it."""
    for message in reversed(messages[:place]):
        if message.get("role") == "assistant":
            text = _own_text(message.get("content"))
            if text:
                return text[-4_000:]
        elif message.get("role") == "user" and _own_text(message.get("content")):
            break
    return ""


_TEXT_PARTS = ("text", "input_text", "output_text", None)
_IMAGE_PARTS = frozenset({"image", "image_url", "input_image"})


def _own_text(content: Any) -> str:
    """The text of a turn: not its tool results, files and images."""
    if isinstance(content, str):
        return content
    texts = []
    for part in items(content):
        kind, text = part.get("type"), part.get("text")
        if isinstance(text, str) and (kind is None or kind in _TEXT_PARTS):
            texts.append(text)
    return "\n\n".join(texts)


def _images(content: Any) -> int:
    return sum(
        1 for p in items(content) if isinstance(p.get("type"), str) and p["type"] in _IMAGE_PARTS
    )


def _anything(messages: Sequence[Json]) -> str:
    """The start of the last words of anyone: the better of no choices."""
    for role in ("user", "system", "developer", "tool", "assistant"):
        for message in reversed(messages):
            if message.get("role") == role:
                text = _own_text(message.get("content")).strip()
                if text:
                    return text[:2_000]
    return ""
