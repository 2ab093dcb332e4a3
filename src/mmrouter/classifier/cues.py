"""What the rules look at: the words of a request, the concepts they stand for, and its form.

A request becomes a set of cues; `rules` adds up their weights. Nothing here knows the length
of a text, only of what it consists. The names begin with a letter for their kind:

    w word, s a word's first letters, b two words in a row, g characters of a script without spaces,
    n a number's magnitude, c a concept of lexicon.txt, f and l a concept among the first and the
    last words, p two concepts together, k form, v a subword piece
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Generic, NamedTuple, TypeVar, cast

from mmrouter.classifier.text import Judged

HEAD = 1_500
TAIL = 900
"""Characters looked at from the start and the end of a request."""

_TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+(?:[.,]\d+)*|[?？؟]")
_ASCII_TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)?|[0-9]+(?:[.,][0-9]+)*|\?")
"""The same for lower-case ASCII, in two thirds of the time."""
_DENSE = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{1,400}")
_IDENTIFIER = re.compile(
    r"\b[a-z]\w*\(|\b[a-z]+_[a-z]\w*|\b[a-z]+[A-Z][a-z]\w*|\b\w+::\w|->|=>|==|&&|\$\{|`[^`\n]+`|</?\w+>"
    r"|\w\.(?:py|js|tsx?|jsx|go|rs|java|kt|rb|php|cpp|cs|sql|sh|ya?ml|json|toml|css|html?)\b"
)
_HINTS = ("_", "(", ">", "=", "&", "$", "`", "<", "::")
_SUFFIX = re.compile(r"\.[a-z]")
_CAMEL = re.compile(r"[A-Z](?<=[a-z].)")
"""Without any of these there is no identifier, which spares most texts the longer search. Each
begins with what is rare, so that `re` passes over the rest at once."""
_SUMS = re.compile(r"\d\s*(?:[-+*/x×÷^%=]\s*\d|%)")
_LATIN_C = re.compile(r"\bc(?:\+\+|#)", re.IGNORECASE)
_LONGEST = 24
_LONGEST_PIECE = 16
_PREFIX = 5

Mark = TypeVar("Mark")
"""What stands for a cue: its name, or a row of a table of weights."""

Key = TypeVar("Key")

Concepts = dict[str, tuple[str, ...]]
Phrases = dict[tuple[str, str], tuple[str, ...]]


def _lexicon() -> tuple[Concepts, Concepts, Concepts, Phrases]:
    """Concepts by word, by stem, by string of a dense script, and by two words, of lexicon.txt."""
    words: dict[str, set[str]] = {}
    stems: dict[str, set[str]] = {}
    dense: dict[str, set[str]] = {}
    phrases: dict[tuple[str, str], set[str]] = {}
    concept = ""
    for line in files(__package__).joinpath("lexicon.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            concept = line.strip("[]")
        for entry in () if line[:1] in ("[", "#") else line.lower().split():
            parts = [part for part in re.split(r"[_\-]", entry) if part]
            if len(parts) == 2:
                phrases.setdefault((parts[0], parts[1]), set()).add(concept)
            elif _DENSE.match(entry):
                dense.setdefault(" ".join(parts), set()).add(concept)
            elif len(parts) == 1 and entry.endswith("*"):
                stems.setdefault(entry[:-1], set()).add(concept)
            elif len(parts) == 1:
                words.setdefault(entry, set()).add(concept)
    return _sorted(words), _sorted(stems), _sorted(dense), _sorted(phrases)


def _sorted(concepts: dict[Key, set[str]]) -> dict[Key, tuple[str, ...]]:
    return {key: tuple(sorted(names)) for key, names in concepts.items()}


_WORDS, _STEMS, _STRINGS, _PHRASES = _lexicon()
_STEM_LENGTHS = tuple(sorted({len(stem) for stem in _STEMS}))
_DENSE_LENGTHS = tuple(sorted({*map(len, _STRINGS), 1, 2, 3}))
_PREFIXED = re.compile(r"[\u0590-\u06ff]")


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


class _Word(NamedTuple, Generic[Mark]):
    """What one lower-case word, number or question mark says alone.

    Attributes:
        paired: how it is called in a pair of words.
    """

    marks: tuple[Mark, ...]
    concepts: tuple[str, ...]
    paired: str


class Reader(Generic[Mark]):
    """Reads a request as the marks of its cues. Words that it has met lately are read at once.

    Args:
        find: a cue's name to its mark; None where the cue has none.
        in_a_row: the words of a request in order, a start ("^") before them, to the marks of each
            two in a row. What `find` says of their names by default; here it may be found faster.
        pieces: the names of the subword pieces to read; none by default.
    """

    def __init__(
        self,
        find: Callable[[str], Mark | None],
        in_a_row: Callable[[Sequence[str]], Iterable[Mark | None]] | None = None,
        pieces: Collection[str] = frozenset(),
    ) -> None:
        self._find = find
        self._in_a_row = in_a_row or self._named_in_a_row
        self._pieces = pieces
        self._word = lru_cache(maxsize=16_384)(self._read_word)
        self._dense = lru_cache(maxsize=1024)(self._read_dense)
        # of concepts and forms there are so many, and no more
        self._known = lru_cache(maxsize=None)(find)
        self._pairs: dict[tuple[str, str], Mark | None] = {}

    def __call__(self, judged: Judged) -> set[Mark]:
        """The marks of what is there."""
        text = judged.text
        if judged.follow_up:
            text = f"{judged.context}\n{text}"
        if len(text) > HEAD + TAIL:
            text = f"{text[:HEAD]}\n{text[-TAIL:]}"
        marks: set[Mark | None] = set(map(self._known, _form(judged, text)))
        concepts: set[str] = set()
        low = text.lower()
        token = _ASCII_TOKEN
        if not low.isascii():
            token = _TOKEN
            for run in _DENSE.findall(low):
                more, found = self._dense(run)
                marks.update(more)
                concepts.update(found)
            low = _DENSE.sub(" ", low)
        self._words(token.findall(low), marks, concepts)
        pairs = self._pairs
        ordered = sorted(concepts)
        for index, one in enumerate(ordered, 1):
            for other in ordered[index:]:
                pair = one, other
                if pair not in pairs:
                    pairs[pair] = self._find(f"p:{one}+{other}")
                marks.add(pairs[pair])
        marks.discard(None)
        return cast("set[Mark]", marks)

    def _words(self, tokens: list[str], marks: set[Mark | None], concepts: set[str]) -> None:
        """Adds what the words say, alone and in pairs."""
        if not tokens:
            return
        known = self._known
        alone, meant, paired = zip(*map(self._word, tokens), strict=True)
        marks.update(*alone)
        concepts.update(*meant)
        in_order = ("^", *paired)
        marks.update(self._in_a_row(in_order))
        for phrase in filter(None, map(_PHRASES.get, pairwise(in_order))):
            concepts.update(phrase)
            marks.update(known(f"c:{concept}") for concept in phrase)
        for place, among in (("f", meant[:4]), ("l", meant[-6:])):
            marks.update(known(f"{place}:{concept}") for found in among for concept in found)

    def _named_in_a_row(self, words: Sequence[str]) -> Iterator[Mark | None]:
        find = self._find
        return (find(f"b:{one} {other}") for one, other in pairwise(words))

    def _marks(self, names: Iterable[str]) -> tuple[Mark, ...]:
        return tuple([mark for mark in map(self._find, names) if mark is not None])

    def _read_word(self, word: str) -> _Word[Mark]:
        if word in "?？؟":
            return _Word((), (), "?")
        if word[0].isdigit():
            name = f"n:{_magnitude(word)}"
            return _Word(self._marks([name]), (), name)
        word = word[:_LONGEST]
        names = [f"w:{word}"]
        if len(word) > _PREFIX:
            names.append(f"s:{word[:_PREFIX]}")
        found = set(_WORDS.get(word, ()))
        for length in _STEM_LENGTHS:
            if length > len(word):
                break
            found.update(_STEMS.get(word[:length], ()))
        if not found and _PREFIXED.match(word):
            # Hebrew and Arabic write articles, "and" and prepositions as part of the word.
            for cut in (1, 2, 3):
                found.update(_WORDS.get(word[cut:], ()) if len(word) - cut > 2 else ())
        names.extend(f"c:{concept}" for concept in found)
        if self._pieces:
            names.extend(pieces(word, self._pieces))
        return _Word(self._marks(names), tuple(found), word)

    def _read_dense(self, run: str) -> tuple[tuple[Mark, ...], tuple[str, ...]]:
        """(marks, concepts) of a run of a script without spaces."""
        names: list[str] = []
        found: set[str] = set()
        for start in range(len(run)):
            for length in _DENSE_LENGTHS:
                piece = run[start : start + length]
                if len(piece) < length:
                    break
                if length < 4:
                    names.append(f"g:{piece}")
                if 1 < length < 4 and f"v:{piece}" in self._pieces:
                    names.append(f"v:{piece}")
                found.update(_STRINGS.get(piece, ()))
        names.extend(f"c:{concept}" for concept in found)
        return self._marks(names), tuple(found)


def _form(judged: Judged, text: str) -> Iterator[str]:
    """How it is written, whatever it says."""
    yield "k:bias"
    if judged.follow_up:
        yield "k:follow-up"
    if judged.code_chars:
        yield "k:code"
    if judged.images:
        yield "k:image"
    hinted = any(hint in text for hint in _HINTS) or _SUFFIX.search(text) or _CAMEL.search(text)
    identifiers = len(_IDENTIFIER.findall(text)) if hinted else 0
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


cues: Reader[str] = Reader(str)
"""The names of a request's cues."""
