"""Adds keys to a config file and takes them out, leaving the rest of its text as it stands."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import yaml

from mmrouter.config.load import parse_config
from mmrouter.errors import ConfigError
from mmrouter.server.auth import hash_key

_INDENT = 2


def new_key() -> str:
    """A fresh key: "mmr_" and 256 random bits."""
    return "mmr_" + secrets.token_urlsafe(32)


def with_key(text: str, name: str, key: str, limits: Mapping[str, Any]) -> str:
    """The config's text with one more key, which stands there by its hash alone.

    Args:
        limits: the rest of the row (`scope`, `tags`, `daily_limit`...).

    Raises:
        ConfigError: the name is taken, or `server` is written in braces.
    """
    row = f"{_json(name)}: {_json({'hash': hash_key(key), **limits})}"
    lines = text.splitlines()
    server = _section(_root(text), "server")
    if server is None:
        return "\n".join([*lines, "", "server:", "  keys:", f"    {row}", ""])
    keys = _section(server[1], "keys")
    if keys is None:
        column = server[1].value[0][0].start_mark.column if server[1].value else _INDENT
        added = [" " * column + "keys:", " " * (column + _INDENT) + row]
        return _insert(lines, server[0].start_mark.line + 1, added)
    if any(entry.value == name for entry, _ in keys[1].value):
        raise ConfigError(f"There is a key '{name}' already; revoke it first, or choose a name")
    column = keys[0].start_mark.column + _INDENT
    if keys[1].value:
        column = keys[1].value[0][0].start_mark.column
    return _insert(lines, keys[0].start_mark.line + 1, [" " * column + row])


def without_key(text: str, name: str) -> str:
    """The config's text without that key.

    Raises:
        ConfigError: there is none of that name.
    """
    lines = text.splitlines()
    server = _section(_root(text), "server")
    keys = _section(server[1], "keys") if server else None
    entries = keys[1].value if keys else []
    for entry, row in entries:
        if entry.value == name and keys is not None:
            only = len(entries) == 1
            first = keys[0] if only else entry  # `keys:` with nothing under it is no mapping
            last = _last_line(lines, row)
            return _insert(lines[: first.start_mark.line] + lines[last + 1 :], 0, [])
    raise ConfigError(f"There is no key '{name}' in this config")


def read(path: Path) -> str:
    """The text of a config file.

    Raises:
        ConfigError: it is no valid config, so that no place in it can be told.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({type(error).__name__})") from None
    parse_config(text, str(path))
    return text


def rewrite(path: Path, text: str) -> None:
    """Checks the text, and puts it in the file's place at once.

    Raises:
        ConfigError: it is no valid config (then the file stays as it was).
    """
    parse_config(text, str(path))
    target = path.resolve()
    with tempfile.NamedTemporaryFile(
        "w", dir=target.parent, prefix=target.name, delete=False, encoding="utf-8"
    ) as file:
        file.write(text)
    os.chmod(file.name, target.stat().st_mode & 0o777)
    os.replace(file.name, target)


Entry = tuple[yaml.Node, yaml.MappingNode]


def _root(text: str) -> yaml.MappingNode:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError("The config holds no sections")
    return root


def _section(parent: yaml.MappingNode, name: str) -> Entry | None:
    """A section's key and value; None where there is none. An empty one counts as a mapping."""
    for key, value in parent.value:
        if key.value == name:
            if isinstance(value, yaml.ScalarNode) and value.value == "":
                return key, yaml.MappingNode(value.tag, [], value.start_mark, value.end_mark)
            if isinstance(value, yaml.MappingNode) and not value.flow_style:
                return key, value
            raise ConfigError(
                f"line {key.start_mark.line + 1}: write '{name}:' as indented lines, without "
                "braces, so that keys can be added there"
            )
    return None


def _last_line(lines: list[str], value: yaml.Node) -> int:
    """Where a value ends; the mark of an indented one stands at what follows it."""
    last: int = value.end_mark.line
    if isinstance(value, yaml.CollectionNode) and not value.flow_style:
        last -= 1
        while lines[last].strip() == "" or lines[last].lstrip().startswith("#"):
            last -= 1
    return last


def _insert(lines: list[str], at: int, added: list[str]) -> str:
    return "\n".join([*lines[:at], *added, *lines[at:], ""])


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
