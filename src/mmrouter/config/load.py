"""Reads a config file, and says file, line, key and nearest valid name when it is wrong."""

from __future__ import annotations

import difflib
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mmrouter.config.schema import Config
from mmrouter.errors import ConfigError

_MAX_BYTES = 4 * 1024 * 1024
_MAX_NODES = 100_000
_MAX_DEPTH = 50
"""Aliases repeat a node without repeating its text: this bounds what a small file can become."""

Lines = dict[tuple[str | int, ...], int]
"""Where each key or item stands: path in the document -> line, counted from 1."""


def load_config(source: str | Path) -> Config:
    """Reads and checks a config.

    Args:
        source: a path, or the name of a preset ("default", "openai", "cascade"...). A path under
            `configs/` that does not exist falls back to the preset of that name, so the published
            commands work from any folder.

    Raises:
        ConfigError: no such file, or what is wrong in it and where.
    """
    return parse_config(*read_source(source))


def preset_names() -> list[str]:
    """Names of the presets in the package."""
    folder = resources.files("mmrouter.config").joinpath("presets")
    return sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name[-5:] == ".yaml")


def read_source(source: str | Path) -> tuple[str, str]:
    """Text of a config and the name to call it by in errors."""
    path = Path(source)
    if path.is_file():
        return _read_file(path), str(path)
    preset = _preset(str(source))
    if preset is not None:
        return preset
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; give the path of a YAML file")
    raise ConfigError(
        f"Config not found: {path}. Run `mmrouter init` to make one, or name a preset with -c: "
        + ", ".join(preset_names())
    )


def _read_file(path: Path) -> str:
    try:
        raw = path.read_bytes()
        if len(raw) > _MAX_BYTES:
            raise ConfigError(f"{path}: {len(raw)} bytes is too long for a config")
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: not valid UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _preset(source: str) -> tuple[str, str] | None:
    name = source.removesuffix(".yaml").removesuffix(".yml")
    name = name.removeprefix("./").removeprefix("configs/")
    if name not in preset_names():
        return None
    file = resources.files("mmrouter.config").joinpath("presets", f"{name}.yaml")
    return file.read_text("utf-8"), f"preset {name}"


def parse_config(text: str, name: str = "config") -> Config:
    """Checks a config's text. `name` stands in errors in the place of the file.

    Raises:
        ConfigError: with one line per fault.
    """
    try:
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"{name}:{line}: not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}:1: not valid YAML: {error}") from None
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{name}:1: a config is a mapping that begins with `routes:`")
    lines: Lines = {(): 1}
    data = _construct(node, (), lines, name)
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        faults = [_describe(e, lines, name) for e in error.errors()]
        raise ConfigError("\n".join(dict.fromkeys(faults))) from None


def _construct(node: yaml.Node, path: tuple[str | int, ...], lines: Lines, name: str) -> Any:
    """Plain data of a YAML node, noting each key's line; a key given twice is an error."""
    if len(lines) > _MAX_NODES or len(path) > _MAX_DEPTH:
        raise ConfigError(f"{name}:{node.start_mark.line + 1}: too large or too deep for a config")
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(f"{name}:{line}: a key must be a plain word")
            key = str(key_node.value)
            if key in mapping:
                first = lines[(*path, key)]
                raise ConfigError(f"{name}:{line}: '{key}' is given twice (first on line {first})")
            lines[(*path, key)] = line
            mapping[key] = _construct(value_node, (*path, key), lines, name)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            lines[(*path, index)] = item.start_mark.line + 1
            items.append(_construct(item, (*path, index), lines, name))
        return items
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError):
        line = node.start_mark.line + 1
        raise ConfigError(f"{name}:{line}: cannot read the value '{node.value}'") from None


def _describe(error: ErrorDetails, lines: Lines, name: str) -> str:
    where = tuple(part for part in error["loc"] if part != "[key]")
    known = where
    while known not in lines:
        known = known[:-1]
    key = ".".join(str(part) for part in where) or "config"
    line = lines[known]
    if error["type"] == "extra_forbidden" or error["loc"][-1:] == ("[key]",):
        return f"{name}:{line}: unknown key '{key}'" + _nearest(where)
    if error["type"] == "missing":
        return f"{name}:{line}: '{key}' is required"
    message = error["msg"].removeprefix("Value error, ")
    got = error["input"]
    shown = "" if isinstance(got, dict | list) else f", got {got!r}"
    return f"{name}:{line}: '{key}': {message[0].lower()}{message[1:]}{shown}"


def database_url(config: Config, db: str | None) -> str:
    """The tracker's URL: `--db` takes a path or a URL, and wins over config."""
    if db is None:
        return config.tracker.url
    return db if "://" in db else f"sqlite:///{db}"


def _nearest(where: tuple[str | int, ...]) -> str:
    valid = _valid_names(where[:-1])
    near = difflib.get_close_matches(str(where[-1]), valid, n=1, cutoff=0.5)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; valid: {', '.join(valid)}" if valid else ""


def _valid_names(path: tuple[str | int, ...]) -> list[str]:
    """Keys that are valid under a path of the schema."""
    here: Any = Config
    for part in path:
        if isinstance(here, type) and issubclass(here, BaseModel):
            field = here.model_fields.get(str(part))
            here = field.annotation if field else None
        else:
            arguments = get_args(here)
            here = arguments[1] if len(arguments) == 2 else None
        options = [a for a in get_args(here) if isinstance(a, type) and issubclass(a, BaseModel)]
        if options and not str(here).startswith("dict"):
            here = options[0]
    if isinstance(here, type) and issubclass(here, BaseModel):
        return list(here.model_fields)
    arguments = get_args(here)
    return [str(member) for member in arguments[0]] if _is_enum_keyed(arguments) else []


def _is_enum_keyed(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) == 2 and hasattr(arguments[0], "__members__")
