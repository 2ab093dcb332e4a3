"""Takes the courtesies off a request: greetings, apologies and thanks around what is asked."""

from __future__ import annotations

import re

_HELLO = (
    r"(?:hi|hello|hey|hiya|greetings|dear \w+|good (?:morning|afternoon|evening|day)|"
    r"hola|buen[oa]s(?: (?:días|tardes|noches))?|bonjour|bonsoir|salut|hallo|guten (?:tag|morgen|"
    r"abend)|"
    r"servus|moin|ciao|buongiorno|buonasera|salve|olá|oi|bom dia|boa (?:tarde|noite)|hoi|"
    r"goedemorgen|"
    r"goedemiddag|cześć|dzień dobry|привет|здравствуйте|добрый (?:день|вечер)|привіт|доброго дня|"
    r"merhaba|selam|hej|hei|moi|γεια σου|καλημέρα|ahoj|dobrý den|bună(?: ziua)?|szia|xin chào|halo|"
    r"مرحبا|السلام عليكم|שלום|سلام|नमस्ते)(?: (?:there|all|everyone|team|again|both|à tous|"
    r"zusammen|a todos))?"
)
_WELL = (
    r"(?:i )?(?:really )?hope (?:you|this|all|everything|your)[^.!?\n]{0,60}|"
    r"how are you(?: (?:doing|today))*|"
    r"i (?:have|had|'ve got) (?:a|one) (?:quick |small |short |simple )?(?:question|request|"
    r"favou?r)"
    r"(?: for you)?|espero que [^.!?\n]{0,40}|j'espère que [^.!?\n]{0,40}|ich hoffe[^.!?\n]{0,50}"
)
_SORRY = (
    r"(?:i'?m )?(?:so |very )?(?:sorry|apologies|apologize|apologise|excuse me|pardon)"
    r"(?: (?:to|for|about|if|in)\b[^.,:!?\n]{0,50})?|perdón?|perdona|disculp[ae]|désolée?|"
    r"entschuldigung|"
    r"scusa|desculpa|sorry dat ik stoor|przepraszam|извините"
)
_HELP = (
    r"(?:could|can|would|will|might) (?:you|u|someone) (?:please |pls |kindly |maybe |possibly )?"
    r"(?:help|assist)(?: me)?(?: out)?(?: (?:please|pls))?"
    r"(?: with (?:the following|this|that|something|a (?:quick )?(?:thing|question|task))"
    r"(?: (?:please|pls|below|one))?)?|"
    r"(?:please |pls )?help(?: me)?(?: out)?(?: with (?:the following|this|something))?|"
    r"i(?:'d| would)(?: (?:be|really|very much|so|most))? ?(?:very |so |really |most )?"
    r"(?:grateful|appreciate|thankful|obliged)\b[^.:!?\n]{0,60}|i need (?:some |your )?help"
    r"(?: with (?:the following|this|something))?|if (?:you|u) (?:don'?t mind|have a (?:moment|"
    r"minute|sec))|"
    r"when you (?:have|get) a (?:moment|minute|sec|chance)|"
    r"(?:¿)?(?:podrías|puedes|podría) ayudarme(?: con (?:esto|lo siguiente))?|"
    r"(?:pouvez-vous|peux-tu) m'aider(?: avec (?:ceci|ça))?|kannst du mir (?:bitte )?(?:helfen|"
    r"dabei helfen)|"
    r"pode me ajudar(?: com isso)?|puoi aiutarmi"
)
_THANKS = (
    r"(?:many |much )?(?:thanks|thank you|thx|ty)(?: (?:so|very) much| a (?:lot|ton|bunch|"
    r"million))?"
    r"(?: in advance| for (?:your|the|any) [^.!?\n]{0,30})?|(?:much )?appreciated|cheers|"
    r"(?:muchas |mil )?gracias(?: de antemano| por adelantado)?|merci(?: beaucoup)?(?: d'avance)?|"
    r"(?:vielen )?dank(?:e)?(?: (?:im voraus|schon mal|dir|ihnen))*|"
    r"(?:muito )?obrigad[oa](?: desde já)?|"
    r"grazie(?: mille)?(?: in anticipo)?|(?:alvast )?bedankt|dzięki(?: z góry)?|заранее спасибо|"
    r"спасибо"
)
_STOP = r"[ \t]*(?:[.,:;!?—–-]+|\n|$)\s*"
_NAME = r"[ ](?!world|welt|mundo|monde)[^\W\d]\w{1,15}(?=[,!]\s)"
_BEFORE = re.compile(
    rf"\s*(?:{_HELLO}(?:{_NAME})?|{_WELL}|{_SORRY}|{_HELP}|{_THANKS}){_STOP}(?:(?:and|but|so)\s)?",
    re.IGNORECASE,
)
_AFTER = re.compile(rf"(?:[.!?,;\n—–-]|[)])\s*(?:{_THANKS})\s*[.!]*\s*\Z", re.IGNORECASE)
_MOST = 5
"""Courtesies in a row that are taken off."""


def without_courtesy(text: str) -> str:
    """The request itself; a turn that is nothing but courtesy stays as it is."""
    start = 0
    for _ in range(_MOST):
        found = _BEFORE.match(text, start)
        if not found:
            break
        start = found.end()
    rest = text[start:]
    if len(rest) > 12:
        ending = _AFTER.search(rest, max(0, len(rest) - 80))
        if ending:
            rest = rest[: ending.start() + 1]
    return rest if any(map(str.isalnum, rest)) else text
