"""Answers that give up, in the words of several languages, and requests that need more than a word.

A phrase alone proves nothing: a letter may say "I'm unable to come", a translation "no lo sé", and
a good answer may begin with "I'm not sure which version you use, but". What gives up does so early,
speaks of the request itself, and has little to say after it.
"""

# ruff: noqa: E501 - phrases of one kind stand together
from __future__ import annotations

import re
from collections.abc import Sequence

_QUOTED = re.compile(
    r"\"[^\"\n]{1,300}\"|“[^”]{1,300}”|«[^»]{1,300}»|„[^“”]{1,300}[“”]|「[^」]{1,300}」"
)
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_OPENING = 400
"""Characters in which an answer that gives up says so."""

_ENOUGH = 200
"""Characters after a doubt in which an answer has said something all the same."""

_HELP = (
    r"(?:help|assist|do that|do this|fulfil+|comply|provide|create|generate|write|answer|support|"
    r"engage|participate|share|give|discuss|offer|complete|process|proceed|continue|produce|"
    r"recommend|make|tell|access|browse|open|view|see|look up|verify|determine|predict|translate|"
    r"solve|say|confirm|identify|retrieve|summari[sz]e|read|check|carry out|perform|execute|run)"
)
_REFUSES = re.compile(
    rf"\b(?:i|we)(?:'m| am|’m)? (?:really |simply |also |just )?(?:can(?:no|['’])?t|can not|won['’]?t|will not|"
    rf"(?:am |'m |’m )?(?:not able|unable|not allowed|not permitted|not in a position) to|"
    rf"(?:must|have to|need to) (?:respectfully )?decline|do(?:n['’]t| not) have the ability to|"
    rf"won['’]?t be able to|refrain from|(?:am |'m |’m )?not comfortable)(?: (?:to|with))?(?: (?:\w+ly|even|really))? ?(?:{_HELP})?\w*",
    re.IGNORECASE,
)
_REFUSES_ANYHOW = re.compile(
    r"\b(?:(?:that|this|it)(?:'s| is|’s) (?:not something i can|beyond (?:my|what i)|outside (?:my|the scope))|"
    r"against my (?:guidelines|programming|policy)|i(?:'d| would|’d) (?:rather|prefer) not|"
    r"i['’]?(?:m| am) (?:only |just )?(?:an? )?(?:ai|language model|ai language model|text-based)|"
    r"as an? (?:ai|large language model|language model|ai assistant|text-based)|"
    r"(?:no|not) (?:capable|equipped) (?:of|to)|(?:can(?:no|['’])?t|unable to|not able to) "
    r"(?:help|assist|comply|fulfil+)|my (?:capabilities|training) (?:do|does)(?:n['’]t| not)|"
    r"(?:beyond|outside) (?:the )?(?:scope|limits) of (?:my|what|this|our)|decline to|have to pass on|"
    r"(?:is|are)(?:n['’]t| not) (?:something )?(?:within my|(?:possible|available) (?:for|to) me)|"
    r"(?:not |n['’]t )(?:something )?within my (?:abilities|power|capabilities))",
    re.IGNORECASE,
)
_IGNORANT = re.compile(
    r"\bi(?:'m| am|’m) (?:really |honestly |quite )?(?:not (?:really |entirely |quite |completely |too )?"
    r"(?:sure|certain|familiar|aware)|unsure|uncertain|unfamiliar|afraid i don)|"
    r"\bi (?:really |honestly |actually |simply )?(?:do(?:n['’]t| not)|have no|lack) (?:really )?"
    r"(?:know|have (?:any |enough |sufficient |specific |access|the |real|current|up|that|data)|"
    r"idea|clue|information|recall|the (?:information|context|details|data|knowledge))|"
    r"\b(?:not enough|insufficient|no) (?:information|context|data|details) (?:is |are |was |to |about |on |"
    r"available|provided|given)|\b(?:beats me|no idea|hard to say|your guess is as good|difficult to say|"
    r"i(?:'d| would|’d) (?:have to|be) guess\w*|i (?:couldn['’]t|could not|can['’]?t|cannot) "
    r"(?:find|locate|recall|remember|say)|(?:you )?(?:may|might) (?:want|need) to (?:consult|ask|check with) "
    r"(?:a|an|the|your) (?:\w+ )?(?:expert|professional|specialist|lawyer|doctor)|"
    r"consult (?:with )?(?:a|an|your) (?:\w+ )?(?:professional|expert|specialist)|my knowledge (?:cutoff|ends|stops)|"
    r"my (?:training )?(?:data|knowledge) (?:do|does)(?:n['’]t| not) (?:include|contain|cover|extend))",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(
    # German
    r"\b(?:das|dabei|dazu|leider|ich) (?:kann|darf|möchte) ich (?:(?:ihnen|dir|leider|dazu|dabei|das|hier|nicht) )*"
    r"(?:nicht|keine)|weiß ich (?:leider |auch )?nicht|ich (?:kann|darf) (?:(?:ihnen|dir|das|dazu|dabei|diese\w*|hier|leider|ihre|deine|bei) )*"
    r"(?:\w+ )?(?:leider )?(?:nicht|keine)|ich (?:weiß|weiss) (?:es |das )?(?:leider )?(?:nicht|auch nicht)|"
    r"ich bin (?:mir )?nicht (?:ganz )?sicher|ich bin nicht in der lage|dazu liegen mir keine|"
    r"dazu habe ich (?:leider )?keine|keine (?:ahnung|informationen)|es ist mir (?:leider )?nicht möglich|"
    # French
    r"\bje (?:ne|n['’]) ?(?:peux|suis|sais|dispose|connais|possède|ai) (?:malheureusement )?(?:pas|aucune)|"
    r"je (?:ne )?sais pas|je n['’]en sais rien|je suis (?:désolée?,? mais je|dans l['’]incapacité)|il m['’]est impossible|"
    r"aucune idée|"
    # Spanish
    r"\bno (?:puedo|podemos|sé|lo sé|estoy segur[oa]|tengo (?:suficiente |acceso|información|idea|datos)|"
    r"me es posible|dispongo|soy capaz|sabría)|me temo que no|no estoy (?:del todo )?segur|"
    # Portuguese
    r"\bnão (?:posso|sei|consigo|tenho (?:certeza|informa|acesso|dados|como)|estou certo|sou capaz)|"
    # Italian
    r"\bnon (?:posso|so |lo so|sono (?:in grado|sicur)|ho (?:abbastanza|informazioni|accesso|idea)|riesco)|"
    # Dutch, Polish, Swedish, Turkish
    r"\b(?:ik (?:kan|weet) (?:(?:dat|het|u|je|hier|helaas|daar|daarmee|mee) )*(?:niet|geen)|ik ben niet zeker|"
    r"nie (?:mogę|wiem|jestem w stanie|jestem pew|mam (?:dostępu|informacji|pojęcia))|"
    r"jag (?:kan|vet) (?:\w+ )?(?:tyvärr )?inte|"
    r"(?:yardımcı olama|bilmiyorum|emin değilim|yapamam|bilgim yok)\w*)|"
    # Russian, Ukrainian
    r"я не (?:могу|знаю|уверен|в состоянии|имею|располагаю)|не могу (?:помочь|ответить|предоставить|выполнить)|"
    r"у меня нет (?:\w+ )?(?:информации|доступа|данных)|я не можу|я не знаю|"
    # Chinese, Japanese, Korean
    r"我(?:无法|不能|不知道|不确定|不清楚|没有(?:足够|相关|办法))|(?:抱歉|对不起|很遗憾)[，,。]?.{0,8}(?:无法|不能|不会)|無法|"
    r"(?:できません|できかねます|わかりません|分かりません|お答えでき|お手伝いでき|存じません|お応えでき)|"
    r"(?:할 수 없습니다|도와드릴 수 없|모르겠습니다|알 수 없습니다|제공할 수 없|확실하지 않|수 없어요)|"
    # Arabic, Hindi
    r"(?:لا (?:أستطيع|يمكنني|أعرف|أعلم|أملك)|لست متأكد|ليس لدي|عذراً|عذرا)|"
    r"(?:नहीं कर सकत|मुझे नहीं पता|नहीं जानत|मदद नहीं|असमर्थ|जानकारी नहीं)",
    re.IGNORECASE,
)
_ASKS_BACK = re.compile(
    r"\b(?:(?:could|can|would) you (?:please |kindly )?(?:provide|share|clarify|give|specify|elaborate|tell me|"
    r"explain|let me know|rephrase|be more)|please (?:provide|share|clarify|specify|give me|rephrase|let me know)|"
    r"(?:need|require) (?:a bit |some |a little )?more (?:information|context|details?|info)|"
    r"what (?:exactly |specifically )?(?:would you like|do you (?:mean|want|need))|how can i (?:help|assist)|"
    r"let me know (?:what|how|if|which)|happy to help)",
    re.IGNORECASE,
)
_MISSING = re.compile(
    r"^\W*(?:please )?(?:can you |could you )?(?:\w+ ){1,4}(?:this|it|these|that|my (?:\w+ ?){1,2}|the (?:text|article|code|file|"
    r"following|attached|document|above|email|essay|report|error))[^.?!\n]{0,30}[.:?!]*\s*$",
    re.IGNORECASE,
)
_COMPOSES = re.compile(
    r"\b(?:write|draft|compose|reply|respond|rewrite|rephrase|paraphrase|translat\w*|email|letter|story|poem|"
    r"dialog\w*|lyrics|song|script|monologue|message|text to|apolog\w*|quote|how (?:do|would) (?:i|you) say|"
    r"what does .{1,60} mean|speech|role-?play|schreib\w*|übersetz\w*|formulier\w*|écri\w*|tradui\w*|rédige\w*|"
    r"escrib\w*|traduc\w*|redact\w*|scriv\w*|escrev\w*|traduz\w*)\b|写|翻译|訳|書い|напиши|переведи",
    re.IGNORECASE,
)
_OF_THE_REQUEST = re.compile(
    r"\b(?:can(?:no|['’])?t|unable to|not able to|won['’]t|will not|not comfortable|decline to|must decline) "
    r"(?:\w+ly )?(?:to )?(?:help|assist|fulfil+|comply|generate|writ\w*|creat\w*|translat\w*|provid\w*|produc\w*|"
    r"do that|with (?:that|this)|engag\w*|support)|won['’]t be able to (?:produce|write|create|provide|help)|"
    r"as an? (?:ai|language model|large)|against my",
    re.IGNORECASE,
)


def gives_up(asked: str, text: str, phrases: Sequence[str]) -> str | None:
    """How the answer gives up, if it does.

    Args:
        phrases: of config; they count as a guess does.
    """
    bare = _CODE.sub(" ", _QUOTED.sub(" ", text[:6_000]))
    opening = bare[:_OPENING]
    if _COMPOSES.search(asked[:600]):
        # the text may speak as somebody else: only what is said of the request counts
        first = opening[:200]
        refused = _OF_THE_REQUEST.search(first) and len(text) < 2 * _ENOUGH
        other = _ELSEWHERE.search(first) and len(text) < 120 and not _writes_elsewhere(asked)
        return "a refusal" if refused or other else None
    after = len(text) - _end(_first_of(opening))
    little = after < _ENOUGH
    if "```" in text and len(text) > 200:
        return None
    if little:
        if _REFUSES.search(opening) or _REFUSES_ANYHOW.search(opening):
            return "a refusal"
        if _IGNORANT.search(opening) or _ELSEWHERE.search(opening):
            return "a guess, or none"
        lowered = _plain(opening)
        for phrase in phrases:
            if phrase and _plain(phrase) in lowered:
                return f"it says '{phrase}'"
    if len(text) < 250 and _asks_back(asked, text):
        return "it asks back instead"
    return None


def _writes_elsewhere(asked: str) -> bool:
    """A translation or letter in another language may well say "no puedo"."""
    return (
        re.search(r"translat|traduc|tradui|traduz|übersetz|letter|email|翻译|訳|say", asked, re.I)
        is not None
    )


def _first_of(opening: str) -> re.Match[str] | None:
    for pattern in (_REFUSES, _REFUSES_ANYHOW, _IGNORANT, _ELSEWHERE):
        found = pattern.search(opening)
        if found is not None:
            return found
    return None


def _end(found: re.Match[str] | None) -> int:
    return found.end() if found else 0


def _plain(text: str) -> str:
    return text.replace("’", "'").casefold()


def _asks_back(asked: str, text: str) -> bool:
    """It wants to know more, though the request does not point to something that is missing."""
    return bool(_ASKS_BACK.search(text)) and len(asked) > 25 and not _MISSING.match(asked[:400])


_WORK = re.compile(
    r"\b(?:explain|describe|compare|contrast|analy[sz]e|write|implement|design|draft|essay|discuss|outline|evaluate|"
    r"summari[sz]e|list|steps?|plan|propose|create|develop|build|prove|derive|review|refactor|debug|elaborate|"
    r"pros and cons|trade-?offs?|difference\w*|how (?:do|does|can|could|should|would|to)|why (?:do|does|is|are|did|was)|"
    r"tell me about|walk me through|"
    r"erkläre?\w*|beschreib\w*|vergleich\w*|schreib\w*|erstell\w*|warum|wie (?:funktioniert|kann)|"
    r"expli\w+|décri\w+|compare\w*|écri\w+|rédige\w*|pourquoi|comment|"
    r"describe|escrib\w*|por qué|cómo|compara\w*|redacta|"
    r"spiega\w*|descrivi|scrivi|perché|confronta|"
    r"explique|descreva|escreva|por que|como)\b|"
    r"解释|解釋|介绍|描述|比较|写|分析|为什么|如何|説明|書いて|比較|なぜ|설명|비교|объясни|опиши|напиши|сравни|почему|اشرح|समझा",
    re.IGNORECASE,
)
_BRIEF = re.compile(
    r"\b(?:one|a single|two|three) (?:words?|numbers?|names?|letters?|lines?|sentences?)|\b(?:briefly|brief|short|shortly|in short|"
    r"tl;?dr|yes or no|yes/no|true or false|only|just|exactly|concise\w*|slogan|tagline|title|headline|subject line|"
    r"haiku|name for|username|emoji|regex|one-?liner|command|translat\w*|define|spell|convert|"
    r"how (?:many|much|old|tall|far|long|big|deep|high|hot|fast|do (?:you|i|we) (?:say|spell|pronounce|write))|correct|"
    r"capital|symbol|synonyms?|antonym|kurz|nur|ein wort|bref|court|un mot|breve\w*|solo|una palabra|"
    r"write (?:\S+ ){0,3}(?:in words|as a (?:fraction|decimal|number|percentage))|simplify|calculate|compute|"
    r"what (?:is|are|was) (?:\S+ ?){1,12}\?)\b|一句话|一个词|简短|翻译|一言|訳|한마디|кратко|одним словом|переведи",
    re.IGNORECASE,
)


def wants_work(asked: str) -> bool:
    """The request asks for something to be worked out, told or made."""
    return _WORK.search(asked[:2_000]) is not None or len(asked) > 600


def is_short_by_nature(asked: str) -> bool:
    """A few words can be all that the request asks for."""
    return _BRIEF.search(asked[:2_000]) is not None
