"""Whether a cheap answer is good enough to show: signs that it is not, read from its form.

Nothing here knows whether an answer is true. What can be seen is that it is no answer (empty, a
refusal, a guess), that it stops too early, or that it lacks the form that was asked for. Every
check looks at a bounded number of characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mmrouter.decide.code_faults import code_fault
from mmrouter.decide.refusals import gives_up, is_short_by_nature, wants_work
from mmrouter.dialects.answer import Answer, Form


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says of an answer.

    Attributes:
        score: how good it looks, 0 to 1: the best of several bad answers has the highest.
        fault: why it is not good enough; None accepts it.
    """

    score: float
    fault: str | None = None


ACCEPTED = Verdict(1.0)

_MOST_JSON = 400_000
"""Characters of JSON that are held against a schema."""


def verdict(
    asked: str,
    form: Form,
    answer: Answer,
    *,
    least: int,
    phrases: Sequence[str],
    whole: bool = True,
) -> Verdict:
    """Judges an answer.

    Args:
        asked: the user's last words.
        form: what the request wants the answer to look like.
        least: characters; a shorter answer is looked at more closely. 0 never is.
        phrases: mark a refusal or a guess, besides those that are known here.
        whole: False for what has arrived of an answer that is still being written.
    """
    text = answer.text.strip()
    if answer.refused:
        return Verdict(0.2, "the provider marks it as a refusal")
    if whole and answer.cut:
        return Verdict(0.6, "cut off at a token limit")
    if answer.tool_arguments:
        return _tool_calls(answer.tool_arguments) if whole else ACCEPTED
    if not text:
        return Verdict(0.0, "empty")
    if form.json:
        return _json(text, form) if whole else ACCEPTED
    if loops(text) and not _REPEATS.search(asked):
        return Verdict(0.1, "repeats itself without end")
    given_up = gives_up(asked, text, phrases)
    if given_up is not None:
        return Verdict(0.3, given_up)
    if not whole:
        return ACCEPTED
    fault = code_fault(text)
    if fault is not None:
        return Verdict(0.5, fault)
    if text.endswith((":", "：")) and len(text) < 400:
        return Verdict(0.4, "announces what does not come")
    if _echoes(asked, text):
        return Verdict(0.15, "repeats the question")
    if len(text) < least and "```" not in text and _too_short(asked, text):
        return Verdict(0.4, f"{len(text)} characters for a task that needs more")
    return ACCEPTED


def _tool_calls(calls: Sequence[str]) -> Verdict:
    for arguments in calls:
        try:
            made = json.loads(arguments)
        except (ValueError, RecursionError):
            return Verdict(0.3, "a tool call whose arguments are not JSON")
        if not isinstance(made, dict):
            return Verdict(0.3, "a tool call whose arguments are not an object")
    return ACCEPTED


def _json(text: str, form: Form) -> Verdict:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return Verdict(0.2, "not the JSON that was asked for")
    if form.json == "object":
        return ACCEPTED if isinstance(value, dict) else Verdict(0.3, "JSON, but no object")
    if not form.schema or len(text) > _MOST_JSON:
        return ACCEPTED
    fault = _against(form.schema, value)
    return ACCEPTED if fault is None else Verdict(0.4, f"against its JSON schema: {fault}")


def _against(schema: Any, value: object) -> str | None:
    """The first place where the value breaks the schema; None also where that cannot be said."""
    from jsonschema import Draft202012Validator, SchemaError, validators
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    # patterns come from the caller and may take for ever; nothing is fetched for a reference
    unchecked: dict[str, Callable[..., None]] = {"pattern": _nothing}
    if "patternProperties" in json.dumps(schema, default=str):
        return None
    try:
        Draft202012Validator.check_schema(schema)
        judge = validators.extend(Draft202012Validator, unchecked)(schema, registry=Registry())
        error = next(judge.iter_errors(value), None)
    except (SchemaError, Unresolvable, RecursionError):
        return None
    if error is None:
        return None
    place = "/".join(str(step) for step in error.absolute_path) or "the whole"
    return f"{error.validator} at {place}"


def _nothing(*_: object) -> None:
    """Checks nothing."""


_REPEATS = re.compile(
    r"\b(?:repeat|times|repetitive|loop|again and again|mantra|veces|wiederhol\w*|fois|volte)\b|"
    r"重复|回",
    re.IGNORECASE,
)
_TAIL = 3_000


def loops(text: str) -> bool:
    """The end of the text is one piece, said five times or more."""
    tail = text[-_TAIL:]
    size = len(tail)
    for period in range(4, min(400, size // 5) + 1):
        unit = tail[size - period :]
        if sum(c.isalpha() for c in unit) < 4:
            continue
        times = 1
        while tail[size - (times + 1) * period : size - times * period] == unit:
            times += 1
        if times >= 5 and times * period >= 60:
            return True
    lines = [line.strip() for line in tail.splitlines() if len(line.strip()) > 20]
    return len(lines) >= 8 and len(set(lines)) * 4 <= len(lines)


_ECHO_ASKED = re.compile(
    r"\b(?:repeat|echo|copy|proofread|correct|check|say|quote|spell\w*|translat\w*|format\w*)\b",
    re.IGNORECASE,
)


def _echoes(asked: str, text: str) -> bool:
    said, wanted = _letters(text[:2_000]), _letters(asked[:2_000])
    return len(said) > 12 and said == wanted and not _ECHO_ASKED.search(asked)


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _too_short(asked: str, text: str) -> bool:
    """The request asks for work that so few characters cannot be."""
    dense = sum(2 for c in text if c >= "\u2e80")  # a Chinese character says as much as three
    return len(text) + dense < 50 and wants_work(asked) and not is_short_by_nature(asked)
