"""Takes off what bots, tickets and chat bridges write around a person's words, line by line."""

from __future__ import annotations

import re

_COMMAND = re.compile(r"\s*/[a-z][\w-]{1,14}(?:[ \t]+|\n)(?=\S)")
_MENTION = re.compile(
    r"<?@[\w.-]*(?:bot|assist|helper|copilot|claude|gpt|agent)[\w.-]*>?[,:]?[ \t]+(?=\S)|"
    r"<?@(?:ai|ask|help)\b>?[,:]?[ \t]+(?=\S)",
    re.IGNORECASE,
)
_TAGGED = re.compile(
    r"(?:\[[^\]\n?]{1,60}\]|\((?:DM|via|from|voice)[^)\n]{0,40}\))[ \t]*(?=[^\s\[(])", re.IGNORECASE
)
_SPEAKER = re.compile(
    r"(?:[A-Z][\w.]{0,20}|@\w{1,30})[ ]?\([^()\n]{1,60}\):[ ](?=\S)|<[\w.-]{1,24}>[ ](?=\S)|"
    r"(?:[Cc]itizen|client[ea]?|customer|caller|patient|student|guest|visitor|user|member|employee|"
    r"usuari[oa]|utente|kunde|klant|klient|клиент|müşteri|客户|用户|[A-Z]{1,3})[ ]?[:：][ ](?=\S)",
)
_KEYS = (
    r"labels?|ci|playbook|priority|repos?(?: available)?|repository|secrets(?: available)?|branch|"
    r"knowledge note|last commit|model|mode|iteration|status|cwd|time|date|locale|session|budget|"
    r"(?:tool )?policy(?: reminder)?|reminder|presence|device|channel|kb hits|attachments?|ticket|"
    r"issue|reporter|sprint|page|selected thread|thread|topic|tags?|version|environment|platform|"
    r"confidence|language|lang|user[ _-]?id|request[ _-]?id|trace|source|gitstatus|todo list|"
    r"current (?:time|date|page|file|mode)|today(?:'s date)?|timezone|active record"
)
_CONTEXT = (
    r"(?:retrieved|relevant|related|additional|supporting)\b[^.?:\n]{0,40}|"
    r"(?:search |knowledge |kb )?(?:context|sources?|passages?|snippets?|documents?|results|"
    r"excerpts?|references)(?: \([^)\n]{1,40}\)| from [^.?:\n]{1,30})?"
)
"""Heads what was retrieved for the request."""
_FIELD = re.compile(
    rf"\W{{0,4}}(?:{_KEYS})\b[^:|=?]{{0,40}}[:|=#][^?]*$|"
    r"[A-Z]{2,8}[-_]\d{1,6}[:|\s][^?]*$|\[\d{1,2}\]\s[^?]*$|#{1,6}[ \t][^?]{1,60}$|"
    r"[^\s?]{1,40}(?:\s[>»›]\s[^\s?]{1,40}(?: [^\s?>]{1,12}){0,2}){1,5}$|-{3,}[^?]*$|={3,}[^?]*$|"
    r"(?:::|%%|\|)[^?]*$|\S{1,40} wrote:$|[\w./-]{1,60}\.[a-z]{1,5}$|\[[^\]?]*\][^?]{0,40}$|"
    rf"\(attachments?\b[^?]*\)$|(?:{_CONTEXT})[ ]?[:：]\s*$|today is [\w ,]{{1,30}}\.?$|"
    r"\[[a-z][\w -]{0,20}\][ ][\w ]{1,24}:[^|]*\|.*$|\[[^\]\n]{1,80}\|[^\]\n]{1,300}\]\s*$",
    re.IGNORECASE,
)
_NOTE = re.compile(r"#{1,6}[ \t][^?]{1,200}$|\[[a-z][\w -]{0,20}\][ ][A-Z]{3,20}:")
"""Under a request: an instruction of the tool, or its alerts."""
_TRAILING = re.compile(r"(?:\s*\[[^\]\n?]{1,80}:[^\]\n?]{0,120}\]){1,8}\s*\Z")
_ATTACHED = re.compile(
    r"^(?:<\|?attached\b|attachment(?: text| content)?s?\b[^\n:]{0,60}:|"
    r"\[(?:attached|shared|selected|pasted)\b|%%file\b|"
    r"-{2,} ?(?:notebook|file|attached|selection|clipboard|screen)\b)",
    re.IGNORECASE | re.MULTILINE,
)


def said_to_bot(text: str) -> str:
    """What follows "@helpbot", up to an empty line; the text itself where no bot is named."""
    mention = _mention(text)
    if not mention or len(text) - mention.end() < 5:
        return text
    rest = text[mention.end() :]
    return rest.split("\n\n", 1)[0] if mention.start() else rest


def without_envelope(text: str) -> str:
    """The person's words; the text itself where nothing else would be left."""
    # Here and below, what a pattern cannot do without is looked for first: most texts lack it.
    attached = _ATTACHED.search(text) if "\n" in text else None
    if attached and attached.start() > 4:
        text = text[: attached.start()].rstrip()
    mention = _mention(text)
    if mention and len(text) - mention.end() > 4:
        text = (
            text[mention.end() :].split("\n\n", 1)[0] if mention.start() else text[mention.end() :]
        )
    if "\n" in text:
        text = _inner(text.split("\n")) or text
    if text.rstrip()[-1:] == "]":
        text = _TRAILING.sub("", text) or text
    return without_address(text)


def _mention(text: str) -> re.Match[str] | None:
    return _MENTION.search(text) if "@" in text else None


_BRIDGED = re.compile(r"(?:\[\d{1,2}:\d\d[^\]\n]{0,12}\]|\(DM\))[ \t]*[^\W\d][\w.]{0,20}: (?=\S)")
_HEARD = re.compile(r"\s*(?:\[[\w ]{1,20}\]|\([\w ]{0,30}(?:noise|music|laughter|cough)\))\s*\Z")
"""What a recogniser writes after speech."""


def without_address(text: str) -> str:
    """Without the command, channel and speaker in front of the words."""
    for _ in range(3):
        found = (
            _COMMAND.match(text)
            or _BRIDGED.match(text)
            or _TAGGED.match(text)
            or _SPEAKER.match(text)
        )
        if not found:
            break
        text = text[found.end() :]
        if found.group()[:1] == "[":
            text = _HEARD.sub("", text) or text
    return text


def _inner(rows: list[str]) -> str:
    """The rows without the fields at their start and end."""
    while len(rows) > 1 and (not rows[-1].strip() or _NOTE.match(rows[-1])):
        rows = rows[:-1]
    if len(rows) == 1:
        return rows[0]
    first, last = 0, len(rows)
    while first < last and (not rows[first].strip() or _FIELD.match(rows[first])):
        first += 1
    while last > first and (not rows[last - 1].strip() or _FIELD.match(rows[last - 1])):
        last -= 1
    return "\n".join(rows[first:last])
