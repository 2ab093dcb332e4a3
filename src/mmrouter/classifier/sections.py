"""Finds the ask in a turn that a framework assembled from labelled sections.

"Context: … Question: … Helpful answer:" and its kin: templates of retrieval chains, ReAct agents,
chat transcripts and JSON envelopes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from mmrouter.classifier.lines import PROSE, kind_of

_ASK_LABEL = (
    r"(?:(?:user|customer|current|new|latest|last|final|my|the|original|"
    r"follow[- ]?up|user's)[ _-])?"
    r"(?:question|query|request|message|task|instruction|ask|(?:\w{1,12}[. ])?prompt|"
    r"transcript|utterance|input)"
    r"(?:[ _][\w']{1,12}){0,3}|description|human|user|customer|goal|objective|ask|msg|body|q|"
    r"frage|pregunta|pertanyaan|вопрос|问题|質問|질문|سؤال"
)
_OTHER_LABEL = (
    r"(?:relevant |retrieved |additional |background |previous |chat |conversation |helpful |"
    r"final |short |your |knowledge |search )?(?:context|documents?|docs|sources?|passages?|"
    r"chunks?|results?|history|observation|thought|action(?: input)?|answer|assistant|ai|bot|"
    r"response|output|memory|memories|tools?|metadata|confidence|session|system|scratchpad|"
    r"expected output|environment|instructions?|rules|guidelines|format|references?|"
    r"citations?|files?|page|url|screen|elements|tabs?)"
)
_LABEL = re.compile(
    rf"^[ \t#*=\-\[(_]{{0,8}}(?:(?P<ask>{_ASK_LABEL})|(?P<other>{_OTHER_LABEL}))"
    r"(?:[ \t*\])_=]{0,6}(?::[ \t*]{0,4}|(?<=[*\]=])\n|：)|\]\][ \t]*)(?P<rest>[^\n]*)$",
    re.IGNORECASE | re.MULTILINE,
)
_FIELDS = re.compile(r"[ \t]*\[[^\]\n]{1,80}: [^\]\n]{0,200}[:=][^\]\n]{0,200}\]\s*\Z")
"""Fields of a message in one bracket ("[user: Bo, room: attic]")."""
_BOILERPLATE = re.compile(
    r"^(?:This is the (?:expected|context)|you MUST return|Begin!|Thought:|Helpful Answer:|"
    r"Use the following (?:format|pieces)|Reminder to |ONLY EVER RETURN|EXPECTED_OUTPUT)[^\n]*$",
    re.MULTILINE,
)
_SPEECH = re.compile(
    r"^(?:\[[^\]\n]{0,40}\][ \t]*)?(?P<who>@?[^\W\d][\w .@'’→>-]{0,40}?)"
    r"(?:[ \t]*\([^)\n]{0,30}\))?[:：](?P<said>[^\n]*)$",
    re.MULTILINE,
)
_HEADING = re.compile(
    rf"^(?:#{{1,6}}|={{2,}}|-{{3,}}|\[)[ \t]*(?:(?P<ask>{_ASK_LABEL})|(?P<other>{_OTHER_LABEL}))"
    r"[ \t=\-\]:]*$",
    re.IGNORECASE | re.MULTILINE,
)
_KEYS = frozenset(
    (
        "query",
        "question",
        "user_query",
        "user_message",
        "request",
        "task",
        "instruction",
        "ask",
        "prompt",
        "message",
        "text",
        "input",
        "utterance",
        "transcript",
        "user_input",
        "goal",
        "body",
        "content",
        "userinput",
        "usermessage",
        "userquery",
        "msg",
        "description",
        "comment",
        "user",
        "said",
        "speech",
    )
)
_OPENS = re.compile(r"[{\[]\s*[\"{\[]")
_DECODER = json.JSONDecoder()


def asked_section(text: str) -> str:
    """The section that holds the ask; the text itself where there are no sections."""
    if '{"' in text[:200] or text[:1] in "{[":
        found = _from_json(text)
        if found:
            return found
    if ":" not in text and "：" not in text and "#" not in text and "[" not in text:
        return text
    marks = [(m.start(), m, False) for m in _LABEL.finditer(text) if not _FIELDS.match(m.group())]
    marks += [(m.start(), m, True) for m in _HEADING.finditer(text)]
    ends = [m.start() for m in _BOILERPLATE.finditer(text)]
    if not any(m.group("ask") for _, m, _ in marks):
        before = text[: ends[0]].strip() if ends else ""
        return _last_speech(before or text)
    marks.sort(key=lambda mark: mark[0])
    others = sum(1 for _, m, _ in marks if m.group("other"))
    sections: list[str] = []
    for index, (_, match, heading) in enumerate(marks):
        if not match.group("ask"):
            continue
        start = match.end() if heading else match.start("rest")
        end = marks[index + 1][0] if index + 1 < len(marks) else len(text)
        end = min((stop for stop in ends if start < stop < end), default=end)
        section = text[start:end].strip()
        if len(section) > 1:
            sections.append(section)
    before = text[: marks[0][0]].strip()
    if sections and not _words_of_a_person(before):
        before = ""
    headed = any(heading and match.group("ask") for _, match, heading in marks)
    if sections and (others or headed or not before or len(sections) > 1):
        return sections[-1]
    if sections and len(before) < 200:
        return text
    return sections[-1] if sections else text


_SHORT_FIELD = re.compile(r"\W{0,6}[\w .'()\[\]-]{1,40}(?::(?:\s|$)|[|>=»]).{0,120}$|#|\W*$")


def _words_of_a_person(text: str) -> bool:
    """There is more than fields ("name: Bo"), headings and machine lines."""
    return any(
        kind_of(row) == PROSE and not _SHORT_FIELD.match(row) for row in text.split("\n") if row
    )


def _last_speech(text: str) -> str:
    """A pasted chat ends with the ask, or what follows the chat is the ask."""
    speeches = list(_SPEECH.finditer(text))
    if len(speeches) < 3:
        return text
    speakers = [match.group("who").split("→")[0].strip() for match in speeches]
    if len(set(speakers)) == len(speakers) and not text.lstrip().startswith("["):
        return text
    before, after = text[: speeches[0].start()].strip(), text[speeches[-1].end() :].strip()
    if len(after) > 12 and after[0] not in "([":
        return after
    if len(before) > 20 and before[0] not in "#[:<" and "thread" not in before[-30:].lower():
        return before
    return speeches[-1].group("said").strip() or text


def _from_json(text: str) -> str | None:
    """The ask in a JSON envelope: the longest string under one of the usual keys."""
    start = _OPENS.search(text[:200])
    if not start or len(text) > 30_000:
        return None
    try:
        value, end = _DECODER.raw_decode(text, start.start())
    except (ValueError, RecursionError):
        return None
    if (end - start.start()) * 2 < len(text):
        return None
    return max(_asks(value, 0), key=len, default=None)


def _asks(value: Any, depth: int) -> Iterator[str]:
    """Strings under the usual keys, some levels deep."""
    if depth > 5:
        return
    if isinstance(value, list):
        for item in value[-3:]:
            yield from _asks(item, depth + 1)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, str):
                if key.lower() in _KEYS and inner.strip():
                    yield inner
            else:
                yield from _asks(inner, depth + 1)
