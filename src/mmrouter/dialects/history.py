"""What a body's earlier turns tie the request to: whose tools ran, whose thinking is signed, what
a provider keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmrouter.dialects.base import Json, items, kind, mapping, word
from mmrouter.types import Dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The ties of one request.

    Attributes:
        answered: a model has spoken in this conversation before.
        tool_result: the last turn is the result of a tool that a model asked for.
        signed: thinking that only the model that made it can read stands in the history.
        signed_open: some of it in the turn that is under way, which began with the user's last
            words: there it must be sent back as it came
            (https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking).
        kept_by_provider: what of the request exists at one provider only ("previous_response_id"),
            or None.
        answers: id of the answer that this request continues (Responses), or None.
    """

    answered: bool = False
    tool_result: bool = False
    signed: bool = False
    signed_open: bool = False
    kept_by_provider: str | None = None
    answers: str | None = None


NEW = History()
"""A conversation's first turn."""


def history(dialect: Dialect, body: Json) -> History:
    """The ties of a request. Never raises, whatever JSON the body is."""
    read = _READERS.get(dialect)
    return NEW if read is None else read(body)


def said_by_user(message: Json) -> bool:
    """A user's turn in which something else than the results of tools stands."""
    if message.get("role") != "user":
        return False
    content = message.get("content")
    return not isinstance(content, list) or any(
        kind(part) != "tool_result" for part in items(content)
    )


def turn_begins(messages: Sequence[Json], said: Callable[[Json], bool] = said_by_user) -> int:
    """The place of the last turn that a user began; 0 where there is none."""
    for place in range(len(messages) - 1, -1, -1):
        if said(messages[place]):
            return place
    return 0


def _chat(body: Json) -> History:
    messages = items(body.get("messages"))
    if len(messages) < 2 or not any(_spoken(message) for message in messages):
        return NEW
    return _tied(
        messages,
        tool_result=messages[-1].get("role") == "tool",
        signed=chat_is_signed,
        kept=next(_file_ids(messages), None),
    )


def _messages(body: Json) -> History:
    messages = items(body.get("messages"))
    if len(messages) < 2 or not any(_spoken(message) for message in messages):
        return NEW
    last = items(messages[-1].get("content"))
    return _tied(
        messages,
        tool_result=any(kind(part) == "tool_result" for part in last),
        signed=lambda message: any(map(is_signed_block, items(message.get("content")))),
        kept="container" if word(body.get("container")) else next(_file_ids(messages), None),
    )


def _responses(body: Json) -> History:
    given = items(body.get("input"))
    answers = word(body.get("previous_response_id"))
    kept = next((key for key in ("previous_response_id", "conversation") if body.get(key)), None)
    if kept is None and not any(
        kind(item) in _MADE or item.get("role") == "assistant" for item in given
    ):
        return NEW
    if kept is None:
        kept = next((kind(item) for item in given if kind(item) == "item_reference"), None)
    begins = turn_begins(given)
    signed = [kind(item) == "reasoning" and bool(item.get("encrypted_content")) for item in given]
    return History(
        answered=True,
        tool_result=bool(given) and kind(given[-1]).endswith("_output"),
        signed=any(signed),
        signed_open=any(signed[begins:]),
        kept_by_provider=kept or next(_file_ids(given), None),
        answers=answers,
    )


_READERS: Mapping[Dialect, Callable[[Json], History]] = {
    Dialect.CHAT: _chat,
    Dialect.MESSAGES: _messages,
    Dialect.RESPONSES: _responses,
}

_MADE = frozenset({"reasoning", "function_call", "custom_tool_call", "item_reference"})
"""Items of a Responses input that a model made."""


def is_signed_block(part: Json) -> bool:
    """Anthropic's thinking, which its maker's signature binds to it."""
    name = part.get("type")
    return name == "redacted_thinking" or (name == "thinking" and bool(part.get("signature")))


CHAT_SIGNED = ("thinking_blocks", "reasoning_details")
"""Where gateways carry signed thinking in an assistant's chat message: LiteLLM, OpenRouter."""


def chat_is_signed(message: Json) -> bool:
    """An assistant's chat message carries thinking with a signature or in encrypted form."""
    for key in CHAT_SIGNED:
        if key in message:  # as in next to none
            for block in items(message[key]):
                if block.get("signature") or block.get("data"):
                    return True
    return False


def _tied(
    messages: list[Json], *, tool_result: bool, signed: Callable[[Json], bool], kept: str | None
) -> History:
    begins = turn_begins(messages)
    marks = [message.get("role") == "assistant" and signed(message) for message in messages]
    return History(
        answered=True,
        tool_result=tool_result,
        signed=any(marks),
        signed_open=any(marks[begins:]),
        kept_by_provider=kept,
    )


def _spoken(message: Json) -> bool:
    return message.get("role") == "assistant"


def _file_ids(messages: Sequence[Json]) -> Iterator[str]:
    """Names of files that were sent to a provider beforehand."""
    for message in messages:
        content: Any = message.get("content")
        if isinstance(content, list):
            for part in items(content):
                if (
                    part.get("file_id")
                    or mapping(part.get("file")).get("file_id")
                    or mapping(part.get("source")).get("file_id")
                ):
                    yield "file_id"
