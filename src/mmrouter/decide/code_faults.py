"""Code blocks of an answer that cannot be what was meant: unclosed, unfinished, not parsing."""

from __future__ import annotations

import ast
import json
import re
import textwrap
import warnings

_FENCE = re.compile(r"^[ ]{0,3}(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^\n`]*$", re.MULTILINE)
_MOST = 40_000
"""Characters of a block that are parsed."""

_PYTHON = frozenset({"python", "py", "python3"})
_BRACED = frozenset(
    {"js", "javascript", "ts", "typescript", "jsx", "tsx", "java", "kotlin", "scala", "dart"}
    | {"c", "cpp", "c++", "cs", "csharp", "c#", "go", "golang", "rust", "rs", "swift", "php"}
    | {"css", "scss"}
)
_LEFT_OUT = re.compile(
    r"(?:#|//|/\*|--|<!--)\s*(?:\.\.\.\s*)?(?:"
    r"todo:? implement|your (?:code|logic|implementation) (?:goes )?here|"
    r"implement(?:ation)? (?:goes )?(?:this |me |here)|"
    r"(?:the )?rest of (?:the|your) (?:code|function|implementation)|"
    r"add (?:your|the) (?:code|logic|implementation) here)",
    re.IGNORECASE,
)


def code_fault(text: str) -> str | None:
    """What is wrong with the code in a text; None where nothing is seen."""
    if "```" not in text and "~~~" not in text:
        return None
    for language, code, closed in _blocks(text):
        if not closed:
            return "a code block that is not closed"
        if _LEFT_OUT.search(code):
            return "code with its work left out"
        if len(code) > _MOST:
            continue
        if language in _PYTHON and not _parses(code):
            return "Python that does not parse"
        if language == "json" and not _is_json(code):
            return "JSON that does not parse"
        if language in _BRACED and not _balanced(code):
            return "brackets that do not match"
    return None


def _blocks(text: str) -> list[tuple[str, str, bool]]:
    """(language, code, closed) of each fenced block."""
    found: list[tuple[str, str, bool]] = []
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opened is None:
            opened = fence
        elif fence[1][0] == opened[1][0] and len(fence[1]) >= len(opened[1]) and not fence[2]:
            found.append((opened[2].lower(), text[opened.end() : fence.start()], True))
            opened = None
    if opened is not None:
        found.append((opened[2].lower(), text[opened.end() :], False))
    return found


def _parses(code: str) -> bool:
    code = textwrap.dedent(code)
    if re.search(r"^\s*(?:>>>|In \[\d|\$ |\.\.\.$|[-+]{3} )", code, re.MULTILINE):
        return True  # a session, a diff, or a passage left out on purpose
    code = re.sub(r"^[ \t]*[%!].*$", "pass", code, flags=re.MULTILINE)  # notebook commands
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except SyntaxError as error:
        return "print" in (error.msg or "")  # Python 2
    except (ValueError, RecursionError, MemoryError):
        return False
    return True


def _is_json(code: str) -> bool:
    if "..." in code or "//" in code or "/*" in code:
        return True  # abridged or commented, for people
    try:
        json.loads(code)
    except (ValueError, RecursionError):
        # several values, one a line
        lines = [line for line in code.splitlines() if line.strip()]
        return len(lines) > 1 and all(_loads(line) for line in lines)
    return True


def _loads(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


_SKIPPED = re.compile(
    r"//[^\n]*|/\*.*?(?:\*/|\Z)|\"(?:\\.|[^\"\\\n]){0,300}\"|'(?:\\.|[^'\\\n]){0,300}'|"
    r"`(?:\\.|[^`\\]){0,2000}`",
    re.DOTALL,
)
"""Comments and strings; their length is bounded, so that quotes without end cost no time."""


def _balanced(code: str) -> bool:
    """As many braces are closed as opened. Parentheses are not counted: regular expressions that
    stand in the code hold lone ones."""
    bare = _SKIPPED.sub(" ", code)
    return abs(bare.count("{") - bare.count("}")) == 0
