"""Whether a decision survives what must not matter: typos, case, politeness, tools, reminders."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mmrouter.classifier.base import Labeller
from mmrouter.classifier.text import judge
from mmrouter.dialects.base import Conversation, Json, items
from mmrouter.eval.accuracy import bucket, wilson
from mmrouter.eval.dataset import Row

Change = Callable[[Conversation, random.Random], Conversation]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """Decisions (complexity and category) that a change turned.

    Attributes:
        share: flipped of `rows`, in 0..1; `low` and `high` bound it with 95 % confidence.
    """

    rows: int
    flipped: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Robustness:
    """Flips by change, and over all of them; `examples` are (change, row id, before, after)."""

    classifier: str
    overall: Flips
    by_change: dict[str, Flips]
    examples: tuple[tuple[str, str, str, str], ...]

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "classifier": self.classifier,
            "overall": asdict(self.overall),
            "by_change": {name: asdict(flips) for name, flips in self.by_change.items()},
            "examples": [
                dict(zip(("change", "id", "before", "after"), example, strict=True))
                for example in self.examples
            ],
        }


def robustness(classifier: Labeller, rows: Iterable[Row], *, seed: int = 0) -> Robustness:
    """How many decisions each change turns. The same seed makes the same changes.

    Raises ValueError where there is no row.
    """
    rows = list(rows)
    if not rows:
        raise ValueError("there is no row to perturb")
    before = [_decision(classifier, row.conversation) for row in rows]
    by_change = {}
    examples = []
    for name, change in CHANGES.items():
        flipped = 0
        for index, (row, decided) in enumerate(zip(rows, before, strict=True)):
            changed = change(row.conversation, random.Random(f"{seed}/{name}/{index}"))  # noqa: S311
            after = _decision(classifier, changed)
            if after != decided:
                flipped += 1
                examples.append((name, row.id, decided, after))
        by_change[name] = _flips(flipped, len(rows))
    return Robustness(
        classifier=classifier.name,
        overall=_flips(len(examples), len(rows) * len(CHANGES)),
        by_change=by_change,
        examples=tuple(examples),
    )


def _decision(classifier: Labeller, conversation: Conversation) -> str:
    said = classifier.classify(judge(conversation))
    return bucket(said.complexity, said.category)


def _flips(flipped: int, rows: int) -> Flips:
    low, high = wilson(flipped, rows)
    return Flips(rows=rows, flipped=flipped, share=flipped / rows, low=low, high=high)


# The changes ──────────────────────────────────────────────────────────────────────────────────


def _typos(text: str, rng: random.Random) -> str:
    """One slip of the finger in about twelve words, never twice in a word."""
    words = text.split(" ")
    for index, word in enumerate(words):
        if len(word) > 4 and word.isalpha() and rng.random() < 1 / 12:
            at = rng.randrange(1, len(word) - 1)
            a, b = word[at], word[at + 1]
            words[index] = word[:at] + rng.choice([b + a, b, a + a + b]) + word[at + 2 :]
    return " ".join(words)


def _whitespace(text: str, rng: random.Random) -> str:
    spaced = "".join(c if c != " " or rng.random() < 0.8 else "  " for c in text)
    return f"  \n{spaced}\n\n "


_POLITE = (
    "Hi there! I hope you're well. Could you please help me with the following? ",
    "Hello, sorry to bother you, I'd be very grateful for your help with this: ",
    "Good morning! Thank you so much in advance. ",
)


def _polite(text: str, rng: random.Random) -> str:
    return rng.choice(_POLITE) + text


_REMINDERS = (
    "<system-reminder>\nThe todo list is empty. Do not mention this to the user. Design documents "
    "are in docs/; prove every change with a test.\n</system-reminder>",
    "<environment_details>\n# Current Time\n10/3/2025, 9:12:44 AM\n# Current Working Directory\n"
    "/srv/app\nsrc/\n  main.py\n  distributed_lock.py\n# Current Mode\nACT\n</environment_details>",
    "<context>\n[1] The migration to the multi-region cluster was completed in May.\n[2] Rates are "
    "reviewed every quarter by the risk committee.\n</context>",
)


def _reminder(text: str, rng: random.Random) -> str:
    reminder = rng.choice(_REMINDERS)
    return rng.choice((f"{reminder}\n\n{text}", f"{text}\n\n{reminder}"))


def _schema(index: int) -> Json:
    return {
        "type": "function",
        "function": {
            "name": f"tool_{index}",
            "description": "Analyses, designs, implements and optimises a distributed system.",
            "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
        },
    }


def _tools(conversation: Conversation, rng: random.Random) -> Conversation:
    return Conversation(
        conversation.messages, [*conversation.tools, *(_schema(i) for i in range(30))]
    )


def _on_text(change: Callable[[str, random.Random], str]) -> Change:
    """A change of the last thing that the user wrote."""

    def changed(conversation: Conversation, rng: random.Random) -> Conversation:
        messages = list(conversation.messages)
        for place in range(len(messages) - 1, -1, -1):
            if messages[place].get("role") == "user":
                content = _changed(messages[place].get("content"), change, rng)
                if content is not None:
                    messages[place] = {**messages[place], "content": content}
                    break
        return Conversation(messages, conversation.tools)

    return changed


def _changed(
    content: Any, change: Callable[[str, random.Random], str], rng: random.Random
) -> str | Sequence[Json] | None:
    """The content with its last text changed; None where it has no text."""
    if isinstance(content, str):
        return change(content, rng) if content.strip() else None
    parts: list[Json] = items(content)
    for index in range(len(parts) - 1, -1, -1):
        text = parts[index].get("text")
        if isinstance(text, str) and text.strip():
            parts[index] = {**parts[index], "text": change(text, rng)}
            return parts
    return None


CHANGES: Mapping[str, Change] = {
    "typos": _on_text(_typos),
    "lower case": _on_text(lambda text, rng: text.lower()),
    "upper case": _on_text(lambda text, rng: text.upper()),
    "white space": _on_text(_whitespace),
    "polite preamble": _on_text(_polite),
    "30 tools": _tools,
    "reminder": _on_text(_reminder),
}
"""Name -> change."""
