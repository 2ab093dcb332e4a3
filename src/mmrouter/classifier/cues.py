"""What the rules look at: the words of a request, the concepts they stand for, and its form.

A request becomes a set of cue names; `rules` adds up their weights. Nothing here knows the length
of a text, only of what it consists. The names begin with a letter for their kind:

    w word, s a word's first letters, b two words in a row, g characters of a script without spaces,
    n a number's magnitude, c a concept of lexicon.txt, f and l a concept among the first and the
    last words, p two concepts together, k form, v a subword piece
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from functools import lru_cache
from importlib.resources import files

from mmrouter.classifier.text import Judged

HEAD = 1_500
TAIL = 900
"""Characters looked at from the start and the end of a request."""

_TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+(?:[.,]\d+)*|[?？؟]")
_DENSE = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{1,400}")
_IDENTIFIER = re.compile(
    r"\b[a-z]\w*\(|\b[a-z]+_[a-z]\w*|\b[a-z]+[A-Z][a-z]\w*|\b\w+::\w|->|=>|==|&&|\$\{|`[^`\n]+`|</?\w+>"
    r"|\w\.(?:py|js|tsx?|jsx|go|rs|java|kt|rb|php|cpp|cs|sql|sh|ya?ml|json|toml|css|html?)\b"
)
_HINT = re.compile(r"[_(>=&$`<]|::|[a-z][A-Z]|\w\.[a-z]")
"""Without one of these there is no identifier: spares most texts the longer search."""
_SUMS = re.compile(r"\d\s*[-+*/x×÷^%=]\s*\d|\d\s*%")
_LATIN_C = re.compile(r"\bc(?:\+\+|#)", re.IGNORECASE)
_LONGEST = 24
_LONGEST_PIECE = 16
_PREFIX = 5

Concepts = dict[str, tuple[str, ...]]


def _lexicon() -> tuple[Concepts, Concepts, Concepts]:
    """Concepts by word, by stem, and by phrase or dense string, from lexicon.txt."""
    words: dict[str, set[str]] = {}
    stems: dict[str, set[str]] = {}
    joined: dict[str, set[str]] = {}
    concept = ""
    for line in files(__package__).joinpath("lexicon.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            concept = line.strip("[]")
        for entry in () if line[:1] in ("[", "#") else line.lower().split():
            parts = [part for part in re.split(r"[_\-]", entry) if part]
            if len(parts) == 2 or _DENSE.match(entry):
                joined.setdefault(" ".join(parts), set()).add(concept)
            elif len(parts) == 1 and entry.endswith("*"):
                stems.setdefault(entry[:-1], set()).add(concept)
            elif len(parts) == 1:
                words.setdefault(entry, set()).add(concept)
    return _sorted(words), _sorted(stems), _sorted(joined)


def _sorted(concepts: dict[str, set[str]]) -> Concepts:
    return {key: tuple(sorted(names)) for key, names in concepts.items()}


_WORDS, _STEMS, _JOINED = _lexicon()
_STEM_LENGTHS = tuple(sorted({len(stem) for stem in _STEMS}))
_DENSE_LENGTHS = tuple(sorted({len(key) for key in _JOINED if _DENSE.match(key)} | {1, 2, 3}))
_PREFIXED = re.compile(r"[\u0590-\u06ff]")


@lru_cache(maxsize=4096)
def _word(word: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(cues, concepts) of one lower-case word or number."""
    if word[0].isdigit():
        return (f"n:{_magnitude(word)}",), ()
    cues = [f"w:{word}"]
    if len(word) > _PREFIX:
        cues.append(f"s:{word[:_PREFIX]}")
    found = set(_WORDS.get(word, ()))
    for length in _STEM_LENGTHS:
        if length > len(word):
            break
        found.update(_STEMS.get(word[:length], ()))
    if not found and _PREFIXED.match(word):
        # Hebrew and Arabic write articles, "and" and prepositions as part of the word.
        for cut in (1, 2, 3):
            found.update(_WORDS.get(word[cut:], ()) if len(word) - cut > 2 else ())
    cues.extend(f"c:{concept}" for concept in found)
    return tuple(cues), tuple(found)


def _magnitude(number: str) -> str:
    """A number's order of magnitude, so that 300 and 350 words are the same thing."""
    digits = number.replace(",", "").split(".")[0]
    if len(digits) == 4 and digits[:2] in ("18", "19", "20"):
        return "year"
    if len(digits) == 1:
        return digits if digits in "0123" else "few"
    return f"{len(digits)}{'lo' if digits[0] < '4' else 'hi'}"


def pieces(word: str, known: Container[str]) -> Iterator[str]:
    """The `v:` cues of a word: the longest known pieces, from its start on ("▁" marks a start)."""
    rest = f"▁{word}"
    while rest:
        for length in range(min(_LONGEST_PIECE, len(rest)), 0, -1):
            name = f"v:{rest[:length]}"
            if name in known:
                yield name
                break
        rest = rest[length:]


@lru_cache(maxsize=1024)
def _dense(run: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(cues, concepts) of a run of a script without spaces."""
    cues: list[str] = []
    found: set[str] = set()
    for start in range(len(run)):
        for length in _DENSE_LENGTHS:
            piece = run[start : start + length]
            if len(piece) < length:
                break
            if length < 4:
                cues.append(f"g:{piece}")
            found.update(_JOINED.get(piece, ()))
    cues.extend(f"c:{concept}" for concept in found)
    return tuple(cues), tuple(found)


def cues(judged: Judged) -> set[str]:
    """The names of what is there."""
    text = judged.text
    if judged.follow_up:
        text = f"{judged.context}\n{text}"
    if len(text) > HEAD + TAIL:
        text = f"{text[:HEAD]}\n{text[-TAIL:]}"
    names: set[str] = set(_form(judged, text))
    concepts: set[str] = set()
    low = text.lower()
    if not low.isascii():
        for run in _DENSE.findall(low):
            more, found = _dense(run)
            names.update(more)
            concepts.update(found)
        low = _DENSE.sub(" ", low)
    words = [word[:_LONGEST] for word in _TOKEN.findall(low)]
    before = "^"
    for word in words:
        if word in "?？؟":
            names.add(f"b:{before} ?")
            before = "?"
            continue
        more, found = _word(word)
        names.update(more)
        concepts.update(found)
        joined = _JOINED.get(f"{before} {word}")
        if joined:
            concepts.update(joined)
            names.update([f"c:{concept}" for concept in joined])
        if word[0].isdigit():
            word = more[0]
        names.add(f"b:{before} {word}")
        before = word
    for word in words[:4]:
        names.update([f"f:{concept}" for concept in _word(word)[1]])
    for word in words[-6:]:
        names.update([f"l:{concept}" for concept in _word(word)[1]])
    ordered = sorted(concepts)
    for index, one in enumerate(ordered):
        names.update([f"p:{one}+{other}" for other in ordered[index + 1 :]])
    return names


def _form(judged: Judged, text: str) -> Iterator[str]:
    """How it is written, whatever it says."""
    yield "k:bias"
    if judged.follow_up:
        yield "k:follow-up"
    if judged.code_chars:
        yield "k:code"
    if judged.images:
        yield "k:image"
    identifiers = len(_IDENTIFIER.findall(text)) if _HINT.search(text) else 0
    if identifiers:
        yield "k:identifier"
    if identifiers > 2:
        yield "k:identifiers"
    if _SUMS.search(text):
        yield "k:sum"
    if ("+" in text or "#" in text) and _LATIN_C.search(text):
        yield "c:code-language"
    if text.rstrip()[-1:] in ("?", "？", "؟"):
        yield "k:asks-last"
    elif "?" in text or "？" in text or "؟" in text:
        yield "k:asks"
    yield _commas(text)
    if ":" in text or "：" in text:
        yield "k:colon"
    if ";" in text:
        yield "k:semicolon"
    if any(mark in text for mark in '"“«「„'):
        yield "k:quote"


def _commas(text: str) -> str:
    """How many commas there are to a sentence."""
    commas = sum(map(text.count, "," if text.isascii() else ",，、،"))
    if not commas:
        return "k:commas-none"
    density = commas / (1 + sum(map(text.count, ".!?\n" if text.isascii() else ".!?。！？؟।\n")))
    if density < 1:
        return "k:commas-few"
    return "k:commas-some" if density < 2 else "k:commas-many" if density < 4 else "k:commas-list"
