"""Takes out of a user's turn what the user did not write: injected blocks, pastes, logs, quotes.

Frameworks put their own words into user turns (reminders, editor state, retrieved chunks, tool
results), and users paste files, mails and logs. None of it says how hard the request is. Every step
is linear in the text, and texts beyond `HEAD + TAIL` characters are cut in the middle.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mmrouter.classifier import lines
from mmrouter.classifier.courtesy import without_courtesy
from mmrouter.classifier.envelope import said_to_bot, without_address, without_envelope
from mmrouter.classifier.sections import asked_section
from mmrouter.classifier.surroundings import without_surroundings

HEAD = 24_000
TAIL = 24_000
"""Characters kept from the start and the end: an ask stands before or after a paste."""


PASTED = f"\n\n{lines.MARK}\n\n"
"""Stands where a paste was, until the text around it is understood."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What is left of a turn.

    Attributes:
        text: the user's own words; "" where there are none.
        code_chars: characters of code that were taken out.
        pasted_chars: characters of everything else that was taken out.
    """

    text: str
    code_chars: int = 0
    pasted_chars: int = 0


_ASK = (
    "user_query|user-query|userquery|user_request|user_message|user_input|userinput|user_question|"
    "user_prompt|userrequest|user_instruction|user_instructions|user_task|query|question|request|"
    "task|feedback|ask|prompt|instruction|goal|objective|issue|pr_description|user_says|"
    "current_message|customer_message|new_message|latest_message|last_message|incoming_message|"
    "command-args|human|user|utterance|user_utterance|transcript"
)
_ASK_TAG = re.compile(rf"(?:{_ASK})\Z", re.IGNORECASE)
_SPOKEN = frozenset(
    ("message", "comment", "body", "content", "text", "description", "input", "details", "msg")
)
_HISTORY_TAG = re.compile(
    r"(?:.*(?:history|reminder|conversation|example|few_?shot|thread|summary|context|"
    r"environment|instructions|rules|memory|memories|previous|earlier).*)\Z",
    re.IGNORECASE,
)
_TAG = re.compile(r"<(/?)([^\W\d][\w.:-]{0,60})((?:\s[^<>]{0,400})?)(/?)>")


_ALONE = re.compile(r"<[^\W\d][\w.:-]{0,60}\s[^<>]{1,600}/>")


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


_MARKUP = _set("""
    a abbr article aside b big body br button center code dd details div dl dt em fieldset
    font footer form h1 h2 h3 h4 h5 h6 head header hr html i iframe img input kbd label
    legend li link main mark meta nav ol option p path pre q rect s samp script section
    select small span strong style sub summary sup svg table tbody td template textarea
    tfoot th thead title tr u ul video
""")
_INLINE = _set("""
    a abbr b big br em font i kbd mark q s small strong sub sup u
""")

_FENCE = re.compile(r"^[ \t>]{0,8}(`{3,}|~{3,})([^\n`]*)$", re.MULTILINE)
_QUOTED = re.compile(
    r'(?<![\w.,!?])"(?=\S)[^"]{120,}"(?!\w)'
    r"|“[^“”]{120,}”|«[^«»]{120,}»|„[^„“”]{120,}[“”]|「[^「」]{60,}」"
)
_OPENING = '"“«„「'
"""What a quotation begins with."""
_SPACES = re.compile(r"[ \t]+")
_BLANKS = re.compile(r"\n\s*\n\s*")
_MARKED = frozenset("/@[(ABCDEFGHIJKLMNOPQRSTUVWXYZc")
"""What a one-line envelope begins with."""
_HARNESS = re.compile(
    r"(?:This session is being continued from|Caveat: The messages below|\[Request interrupted|"
    r"Observation:|OBSERVATION:|\[Tool Result|\[TOOL RESULT|Tool output:|\[ERROR\] You did not use)"
)
_PREAMBLE = re.compile(
    r"(?:I have \*added these files|I switched to a new code base|Here are summaries of some files|"
    r"I am not sharing any|Here are some READ ONLY files|Repo-map:|Here is the (?:file|code)|"
    r"On screen:)[^\n]*"
)


_MENTIONED = re.compile(r"\A\s*@[\w.-]{2,30}[,:]?[ \t]+(?=\S)")
"""Who is spoken to, in the last message of a thread or event."""
_BLANK_OR_MARK = f"\n\t {lines.MARK}"


def clean(text: str) -> Cleaned:
    """The user's own words in one turn."""
    if len(text) > HEAD + TAIL:
        text = text[:HEAD] + "\n\n" + text[-TAIL:]
    text = text.strip()
    if "\n" not in text and "<" not in text and len(text) < 140 and text[:1] != "{":
        return Cleaned(
            without_courtesy(without_envelope(said_to_bot(text)) if text[:1] in _MARKED else text)
        )
    if _HARNESS.match(text):
        return Cleaned("", 0, len(text))
    whole = len(text)
    text = _PREAMBLE.sub("", text, count=1) if _PREAMBLE.match(text) else text
    if "[/" in text:
        text = _bracketed(text)
    text, code = _without_blocks(text, 0)
    text, fenced = _without_fences(text)
    code += fenced
    text = said_to_bot(text)
    asked = asked_section(text)
    text = without_surroundings(asked if asked == text else _MENTIONED.sub("", asked))
    text = without_envelope(text)
    if "\n" in text:
        text, typed = lines.without_machine_lines(text)
        text = without_address(text.lstrip(_BLANK_OR_MARK))
        code += typed
    text = _without_quotes(text)
    text = text.replace(lines.MARK, "")
    if "  " in text or "\t" in text:
        text = _SPACES.sub(" ", text)
    text = _BLANKS.sub("\n\n", text).strip()
    pasted = max(0, whole - len(text) - code)
    return Cleaned(without_courtesy(text), code, pasted)


_BRACKETS = re.compile(r"\[(/?)([^\W\d][\w-]{1,40})\]")


def _bracketed(text: str) -> str:
    """The text with blocks such as [mail]…[/mail] written as tags."""
    closed = {m.group(2) for m in _BRACKETS.finditer(text) if m.group(1)}
    return _BRACKETS.sub(
        lambda m: f"<{m.group(1)}{m.group(2)}>" if m.group(2) in closed else m.group(), text
    )


def _without_blocks(text: str, depth: int) -> tuple[str, int]:
    """Text without tagged blocks, or the inside of the block that holds the ask; code chars."""
    if "<" not in text:
        return text, 0
    text = _ALONE.sub("", text)
    blocks = _top_blocks(text)
    if not blocks:
        return text, 0
    asks: list[str] = []
    kept: list[str] = []
    code = 0
    at = 0
    for name, start, inner_start, inner_end, end in blocks:
        kept.append(text[at:start])
        at = end
        inner = text[inner_start:inner_end]
        low = name.lower()
        if _ASK_TAG.match(name):
            asked, more = _without_blocks(inner, depth + 1) if depth < 4 else (inner, 0)
            code += more
            if asked.replace(lines.MARK, "").strip():
                asks.append(asked)
        elif low in _INLINE:
            kept.append(inner)
        elif low in _MARKUP:
            code += end - start
            kept.append(PASTED)
        else:
            if depth < 4 and not _HISTORY_TAG.match(name):
                asks.extend(_nested_asks(inner, depth + 1))
            kept.append(PASTED)
    kept.append(text[at:])
    if asks:
        return asks[-1], code
    rest = "".join(kept)
    if not depth and not rest.replace(lines.MARK, "").strip():
        return _unwrapped(text, blocks), code
    return rest, code


def _unwrapped(text: str, blocks: list[tuple[str, int, int, int, int]]) -> str:
    """The last block that is likely to hold words of a person, where there is nothing else."""
    for name, _, start, end, _ in reversed(blocks):
        inner = text[start:end]
        if _HISTORY_TAG.match(name):
            continue
        found = [inner[s:e] for n, _, s, e, _ in _top_blocks(inner) if n in _SPOKEN]
        if name in _SPOKEN or found:
            return _TAG.sub(" ", found[-1] if found else inner)
    inners = [text[s:e] for name, _, s, e, _ in blocks if not _HISTORY_TAG.match(name)]
    return _TAG.sub(" ", max(inners, key=len, default=""))


def _nested_asks(inner: str, depth: int) -> list[str]:
    """The asks in tags inside of a wrapper such as <prompt_parts>."""
    found = []
    for name, _, start, end, _ in _top_blocks(inner):
        if _ASK_TAG.match(name):
            asked, _ = (
                _without_blocks(inner[start:end], depth)
                if depth < 4
                else (
                    inner[start:end],
                    0,
                )
            )
            if asked.replace(lines.MARK, "").strip():
                found.append(asked)
    return found


def _top_blocks(text: str) -> list[tuple[str, int, int, int, int]]:
    """(name, start, inner start, inner end, end) of outermost tagged blocks, in order.

    A tag without partner is text, as in "center a <div>".
    """
    tags = [
        (m.group(2).lower(), bool(m.group(1)), m.start(), m.end())
        for m in _TAG.finditer(text)
        if not m.group(4)
    ]
    waiting: dict[str, int] = {}
    for name, closing, _, _ in tags:
        if closing:
            waiting[name] = waiting.get(name, 0) + 1
    blocks = []
    index = 0
    while index < len(tags):
        name, closing, start, inner_start = tags[index]
        index += 1
        if closing:
            waiting[name] -= 1
            continue
        if not waiting.get(name):
            continue
        nested = 1
        while index < len(tags):
            other, closes, inner_end, end = tags[index]
            index += 1
            if closes:
                waiting[other] -= 1
            if other == name:
                nested += -1 if closes else 1
                if not nested or (closes and not waiting.get(name)):
                    blocks.append((name, start, inner_start, inner_end, end))
                    break
    return blocks


def _without_fences(text: str) -> tuple[str, int]:
    """Text without ``` blocks, and their characters; all of it where there is nothing else."""
    if "```" not in text and "~~~" not in text:
        return text, 0
    kept: list[str] = []
    at = 0
    opened: str | None = None
    for mark in _FENCE.finditer(text):
        if opened is None:
            kept.append(text[at : mark.start()])
            opened = mark.group(1)[0]
            at = mark.start()
        elif mark.group(1)[0] == opened and not mark.group(2).strip():
            opened = None
            at = mark.end()
    if opened is None:
        kept.append(text[at:])
    rest = PASTED.join(kept)
    if not rest.replace(lines.MARK, "").strip():
        return text.replace("```", " "), 0
    return rest, max(0, len(text) - len(rest))


def _without_quotes(text: str) -> str:
    """Text without long quotations, unless nothing else would say what is wanted."""
    if len(text) < 120 or not any(mark in text for mark in _OPENING):
        return text
    rest = _QUOTED.sub(' "…" ', text)
    return rest if len(rest) > 16 else text
