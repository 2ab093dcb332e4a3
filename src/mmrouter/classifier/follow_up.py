"""Recognises turns that only mean something with what they answer, in some thirty languages."""

from __future__ import annotations

import re
from functools import cache

from mmrouter.classifier import follow_up_words as words

MOST_WORDS = 16
"""A follow-up is short; a longer turn says itself what it wants."""

FRAGMENT = 2
"""So few words ("population?", "only keys") hardly ever ask for a thing by themselves."""


def _any(block: str) -> str:
    """One alternation of a block of words."""
    return "(?:" + "|".join(line.strip() for line in block.strip().splitlines()) + ")"


def _starts(block: str, lead: str, *, whole: bool = False) -> re.Pattern[str]:
    """The block at a turn's start, after some of the lead's words; `whole` ends with a word."""
    dense = r"[\u0e00-\u0e7f\u3000-\u9fff\uac00-\ud7af]"
    end = rf"(?=\W|$|(?<={dense})|{dense})" if whole else ""
    return re.compile(rf"\W*(?:(?:{lead})\W+){{0,3}}{_any(block)}{end}", re.IGNORECASE)


class _Patterns:
    """The word lists, compiled: a tenth of a second that a single turn never spends."""

    def __init__(self) -> None:
        lead = "oh|ok|okay|hmm|ah|haha|well|and|please|pls"
        praise = "great|nice|cool|good|perfect|thanks?|thx|lovely|super|haha|lol"
        self.thanks = re.compile(_any(words.THANKS), re.IGNORECASE)
        self.yes = _starts(words.YES, f"{lead}|{praise}", whole=True)
        self.weak_yes = _starts(words.WEAK_YES, lead, whole=True)
        self.continues = _starts(words.CONTINUE, f"{lead}|{praise}|yes|now")
        self.same = _starts(words.SAME, f"{lead}|{praise}|so|right|alright")
        self.small_talk = re.compile(
            rf"(?:[\W\d]|\b{_any(words.SMALL_TALK)}(?:\b|$))+\Z", re.IGNORECASE
        )
        self.small_dense = re.compile(rf"(?:\W|{_any(words.SMALL_DENSE)})+\Z")
        self.greeting = re.compile(rf"\W*{_any(words.GREETING)}(?=\W|$)", re.IGNORECASE)
        self.offers = re.compile(
            rf"\b{_any(words.OFFERS_SPACED)}\b|{_any(words.OFFERS_DENSE)}", re.IGNORECASE
        )


@cache
def _patterns() -> _Patterns:
    return _Patterns()


_PLEASE = re.compile(
    r"\b(?:yes|yeah|yep|please|pls|sure|do|ja|bitte|oui|sí|sim|tak|да|evet)\b|お願い|好|네|부탁",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?。！？؟\n]")
_AND = re.compile(
    r"\W*(?:(?:right|ok|okay|thanks|cool|nice|great|good|ah)\W+){0,2}"
    r"(?:and|und|et|y|e|en|a|i|и|а|ve|och|og|ja|και|și|és|dan|و|ו|और|আর|那|那么)\b"
    r"[^.!?？؟\n]{1,40}[?？؟]",
    re.IGNORECASE,
)
_LEANS = re.compile(
    r"\W*(?:(?:and|w/|as (?:an?|the)|no,|nope|nah|not|minus|times|plus|all (?:\d+|of|three|four)|"
    r"the (?:complete|full|whole|entire) (?:one|thing))(?!\w)(?! thanks| thank)|"
    r"[^?\n]{1,40}(?<!even)(?<!back)(?<!since) (?:then|though)[.?!]*\Z)",
    re.IGNORECASE,
)
"""Begins or ends as only a reply does: "no, the full proof", "of 1024 then"."""
_WISH = re.compile(
    rf"\W*(?:(?:no|nope|ok|thanks|and)\W+)?{_any(words.WISH)}(?=\W|$)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_DENSE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")
_OPEN = re.compile(
    r"\b(?:else|next|can i (?:do|help)|may i help|help you)\b|jeszcze|\bnoch\b|autre chose|"
    r"algo más|altro",
    re.IGNORECASE,
)
"""A question that leaves everything open: what follows it is a request of its own."""
_ENDS_ASKING = re.compile(r"[?？؟]\s*\Z")
_SENTENCE = re.compile(r"[^.!?。！？؟\n]{1,400}[.!?。！？؟]*")


def size(text: str) -> int:
    """Words, counting scripts without spaces as two characters a word."""
    text = text[:400]
    if text.isascii():
        return len(_WORD.findall(text))
    dense = len(_DENSE.findall(text))
    return len(_WORD.findall(_DENSE.sub(" ", text))) + dense // 2


def is_small_talk(text: str) -> bool:
    """Thanks, praise, hello, goodbye: nothing is asked."""
    if len(text) > 90:
        return False
    if _patterns().small_talk.match(text) or (
        not text.isascii() and _patterns().small_dense.match(text)
    ):
        return True
    if "?" in text or "？" in text:
        return False
    return bool(
        (_patterns().thanks.search(text) and size(text) <= 6)
        or (_patterns().greeting.match(text) and size(text) <= 4)
    )


def is_thanks(text: str) -> bool:
    """Thanks are in it."""
    return bool(_patterns().thanks.search(text))


def is_yes(text: str) -> bool:
    """It accepts what was offered, perhaps with a wish added ("yes, but shorter")."""
    found = _patterns().yes.match(text)
    if not found:
        return False
    more = size(text[found.end() :])
    if _patterns().weak_yes.match(text):
        return more <= 3 and not (more and ("?" in text or "？" in text))
    return more <= 9


def takes_up(text: str, offered: str) -> bool:
    """Said after an offer, it accepts: "ok draft it", "the brand book", "oh wow, yes, do"."""
    if "?" in text or "？" in text or "؟" in text:
        return False
    length = size(text)
    if length > 9:
        return False
    if _PLEASE.search(text):
        return True
    named = {word.lower() for word in _WORD.findall(offered) if len(word) > 3}
    return length <= 5 and any(word.lower() in named for word in _WORD.findall(text))


def continues(text: str) -> bool:
    """It wants more of the same: "continue", "and for B?", "now in French"."""
    return bool(_patterns().continues.match(text) or _patterns().same.match(text))


def leans_back(text: str) -> bool:
    """It cannot be understood without what went before."""
    length = size(text)
    if continues(text):
        return length <= MOST_WORDS or size(_SENTENCE_END.split(text, 1)[0]) <= 6
    if _AND.match(text):
        return True
    if length <= 8 and _LEANS.match(text) and not is_small_talk(text):
        return True
    if length <= FRAGMENT:
        return True
    if length > 6:
        return False
    said = {word.lower() for word in _WORD.findall(text)}
    if not said.isdisjoint(words.BACK) or any(c in words.BACK_DENSE for c in text):
        return True
    return length <= 5 and (
        not said.isdisjoint(words.REVISE) or any(c in words.REVISE_DENSE for c in text)
    )


def answers(text: str, asked: str) -> bool:
    """It gives the detail that `asked` wants ("Scale?", "5M a day") and makes no new request."""
    length = size(text)
    if length > MOST_WORDS or size(asked) > 14 or _ENDS_ASKING.search(text) or _OPEN.search(asked):
        return False
    return not _WISH.match(text) and not is_small_talk(text)


def offer(answer: str) -> str:
    """What an assistant's turn offers to do next, or "": its last offering sentence."""
    sentences = [s.strip() for s in _SENTENCE.findall(answer[-700:]) if s.strip()]
    for index in range(len(sentences) - 1, max(-1, len(sentences) - 5), -1):
        sentence = sentences[index]
        if _patterns().offers.search(sentence):
            if size(sentence) < 6 and index:
                return f"{sentences[index - 1]} {sentence}"
            return str(sentence)
    return ""


def last_question(answer: str) -> str:
    """The question with which an assistant's turn ends, or ""."""
    return question(answer) if _ENDS_ASKING.search(answer[-8:]) else ""


def question(answer: str) -> str:
    """The last question in an assistant's turn, or ""."""
    for sentence in reversed(_SENTENCE.findall(answer[-700:])):
        if sentence.rstrip()[-1:] in ("?", "？", "؟", ";"):
            return str(sentence).strip()
    return ""
