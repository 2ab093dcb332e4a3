"""The shapes that LiteLLM takes for granted, checked before it stumbles over another.

Its own failure there could not be told from an answer that it cannot read, and would count against
the provider. Fields that are not named here are nobody's concern.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Any

from mmrouter.dialects.base import Json, mapping
from mmrouter.errors import InvalidRequestError

Types = tuple[type, ...]
Shape = Mapping[str, "Types | Shape"]
"""Field -> the types that it may have (a missing one is `NoneType`), or the shape of the object."""

_TEXT: Types = (str,)
_OBJECT: Types = (dict,)
_CONTENT: Types = (str, list, NoneType)
_OPTIONAL_LIST: Types = (list, NoneType)
_OPTIONAL_OBJECT: Types = (dict, NoneType)

_PARTS: Mapping[str, Shape] = {
    "text": {"text": _TEXT},
    "input_text": {"text": _TEXT},
    "output_text": {"text": _TEXT},
    "summary_text": {"text": _TEXT},
    "reasoning_text": {"text": _TEXT},
    "image_url": {"image_url": {"url": _TEXT}},
    "input_image": {"image_url": _TEXT},
    "image": {"source": {"type": _TEXT}},
    "file": {"file": _OBJECT},
    "thinking": {"thinking": _TEXT, "signature": _TEXT},
    "redacted_thinking": {"data": _TEXT},
    "tool_use": {"id": _TEXT, "name": _TEXT, "input": _OBJECT},
    "tool_result": {"tool_use_id": _TEXT, "content": _CONTENT},
}
"""A content part's type -> its shape."""

_ITEMS: Mapping[str, Shape] = {
    "message": {"role": _TEXT, "content": _CONTENT},
    "function_call": {"call_id": _TEXT, "name": _TEXT, "arguments": _TEXT},
    "function_call_output": {"call_id": _TEXT, "output": (str, list)},
    "reasoning": {"summary": _OPTIONAL_LIST, "content": _OPTIONAL_LIST},
}
"""A Responses item's type -> its shape."""

_NUMBER: Types = (int, float, NoneType)
_WHOLE: Types = (int, NoneType)
_WORD: Types = (str, NoneType)
_SWITCH: Types = (bool, NoneType)
_WORD_OR_OBJECT: Types = (str, dict, NoneType)

_CHAT_BODY: Shape = {
    "messages": (list,),
    "max_tokens": _WHOLE,
    "max_completion_tokens": _WHOLE,
    "parallel_tool_calls": _SWITCH,
    "reasoning_effort": _WORD,
    "response_format": _OPTIONAL_OBJECT,
    "stop": (str, list, NoneType),
    "temperature": _NUMBER,
    "thinking": _OPTIONAL_OBJECT,
    "tool_choice": _WORD_OR_OBJECT,
    "tools": _OPTIONAL_LIST,
    "functions": _OPTIONAL_LIST,
    "function_call": _WORD_OR_OBJECT,
    "top_p": _NUMBER,
    "user": _WORD,
    "web_search_options": _OPTIONAL_OBJECT,
}
_WEB_SEARCH: Shape = {"search_context_size": _WORD, "user_location": _OPTIONAL_OBJECT}
_MESSAGES_BODY: Shape = {
    "messages": (list,),
    "metadata": _OPTIONAL_OBJECT,
    "output_config": _OPTIONAL_OBJECT,
    "output_format": _OPTIONAL_OBJECT,
    "stop_sequences": _OPTIONAL_LIST,
    "system": _CONTENT,
    "temperature": _NUMBER,
    "thinking": _OPTIONAL_OBJECT,
    "tool_choice": _OPTIONAL_OBJECT,
    "tools": _OPTIONAL_LIST,
    "top_k": _WHOLE,
    "top_p": _NUMBER,
}
_RESPONSES_BODY: Shape = {
    "input": (str, list),
    "instructions": _WORD,
    "max_output_tokens": _WHOLE,
    "parallel_tool_calls": _SWITCH,
    "reasoning": _OPTIONAL_OBJECT,
    "temperature": _NUMBER,
    "text": _OPTIONAL_OBJECT,
    "tool_choice": _WORD_OR_OBJECT,
    "tools": _OPTIONAL_LIST,
    "top_p": _NUMBER,
    "user": _WORD,
}
_CHAT_MESSAGE: Shape = {"role": _TEXT, "content": _CONTENT, "tool_calls": _OPTIONAL_LIST}
_CHAT_CALL: Shape = {"id": _TEXT, "function": {"name": _TEXT, "arguments": _TEXT}}
_CHAT_TOOL: Shape = {"function": {"name": _TEXT, "parameters": _OPTIONAL_OBJECT}}
_MESSAGE: Shape = {"role": _TEXT, "content": (str, list)}
_MESSAGES_TOOL: Shape = {"name": _TEXT, "input_schema": _OBJECT}
_RESPONSES_TOOL: Shape = {"name": _TEXT, "parameters": _OPTIONAL_OBJECT}

_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    dict: "an object",
    list: "a list",
    NoneType: "missing",
}


def check_chat(body: Json) -> None:
    """Looks at a Chat body.

    Raises:
        InvalidRequestError: names the place, and what was expected there.
    """
    _check(body, _CHAT_BODY, "")
    for where, message in _listed(body, "messages", ""):
        _check(message, _CHAT_MESSAGE, where)
        _check_parts(message, where)
        for place, call in _listed(message, "tool_calls", f"{where}."):
            _check(call, _CHAT_CALL, place)
        if message["role"] == "tool":
            _check(message, {"tool_call_id": _TEXT}, where)
    for where, tool in _listed(body, "tools", ""):
        _check(tool, _CHAT_TOOL, where)
    if isinstance(body.get("tool_choice"), dict):
        _check(body["tool_choice"], {"type": _TEXT, "function": _OPTIONAL_OBJECT}, "tool_choice")
    _check(mapping(body.get("web_search_options")), _WEB_SEARCH, "web_search_options")


def check_messages(body: Json) -> None:
    """The same for a Messages body."""
    _check(body, _MESSAGES_BODY, "")
    for where, message in _listed(body, "messages", ""):
        _check(message, _MESSAGE, where)
        _check_parts(message, where)
    for where, block in _listed(body, "system", ""):
        _check(block, _PARTS["text"], where)
    for where, tool in _listed(body, "tools", ""):
        _check(tool, _MESSAGES_TOOL, where)


def check_responses(body: Json) -> None:
    """The same for a Responses body."""
    _check(body, _RESPONSES_BODY, "")
    for where, item in _listed(body, "input", ""):
        _check(item, _ITEMS[str(item.get("type", "message"))], where)
        _check_parts(item, where)
    for where, tool in _listed(body, "tools", ""):
        _check(tool, _RESPONSES_TOOL, where)


def _check_parts(holder: Json, where: str) -> None:
    for place, part in _listed(holder, "content", f"{where}."):
        _check(part, _PARTS.get(str(part.get("type")), {}), place)
        _check_parts(part, place)


def _listed(holder: Json, key: str, where: str) -> list[tuple[str, Json]]:
    """(place, object) of each item; nothing where there is no list."""
    value = holder.get(key)
    found = [(f"{where}{key}[{n}]", v) for n, v in enumerate(value if type(value) is list else ())]
    for place, item in found:
        if not isinstance(item, dict):
            raise _wrong(place, _OBJECT)
    return found


def _check(holder: Json, shape: Shape, where: str) -> None:
    for key, expected in shape.items():
        value: Any = holder.get(key)
        place = f"{where}.{key}".lstrip(".")
        if isinstance(expected, tuple):
            if not isinstance(value, expected):
                raise _wrong(place, expected)
        elif isinstance(value, dict):
            _check(value, expected, place)
        else:
            raise _wrong(place, _OBJECT)


def _wrong(place: str, expected: Types) -> InvalidRequestError:
    names = " or ".join(_NAMES[kind] for kind in expected)
    return InvalidRequestError(f"'{place}' must be {names}", param=place)
