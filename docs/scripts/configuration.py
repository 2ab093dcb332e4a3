"""Writes docs/configuration.md from the schema: `python docs/scripts/configuration.py`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mmrouter.config import Config

PAGE = Path(__file__).parents[1] / "configuration.md"

_HEAD = """# Configuration

One YAML file. `mmrouter config check FILE` says what is wrong in it and where, `mmrouter config show FILE` prints it
with every default filled in, `mmrouter config schema` prints a JSON Schema for editors. Numbers may be quoted. Unknown
keys are errors. The file is the one of `-c`, else of `MMROUTER_CONFIG`, else `configs/default.yaml`, else the preset
`default`.

Keys of providers come from environment variables only (`api_key_env` names one); a config never holds a key.

This page is written by `docs/scripts/configuration.py` from the schema.
"""


def page() -> str:
    """The whole page."""
    schema = Config.model_json_schema()
    definitions = schema["$defs"]
    parts = [_HEAD, "## Top level\n", _table(schema, definitions)]
    for name, field in schema["properties"].items():
        section = _section(field, definitions)
        if section is not None:
            parts += [f"## `{_heading(name, field)}`\n", _table(section, definitions)]
    return "\n".join(parts) + "\n"


def _heading(name: str, field: dict[str, Any]) -> str:
    if name == "routes":
        return "routes.<complexity>.<category>"
    return f"{name}.<name>" if "additionalProperties" in field else name


def _section(field: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any] | None:
    """The object that a field holds, or holds one of under each name."""
    while "additionalProperties" in field:
        field = field["additionalProperties"]
    reference = field.get("$ref", "").rpartition("/")[2]
    section: dict[str, Any] | None = definitions.get(reference)
    return section if section and "properties" in section else None


def _table(section: dict[str, Any], definitions: dict[str, Any]) -> str:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in section["properties"].items():
        required = name in section.get("required", ())
        default = "required" if required else _default(field)
        meaning = field.get("description") or _meaning(field, definitions)
        rows.append(f"| `{name}` | {_type(field, definitions)} | {default} | {meaning} |")
    return "\n".join(rows) + "\n"


def _meaning(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    section = _section(field, definitions)
    return section.get("description", "").split("\n")[0] if section else ""


def _default(field: dict[str, Any]) -> str:
    default = field.get("default")
    if isinstance(default, dict) or default is None:
        return ""
    if isinstance(default, list):
        return ", ".join(f"`{item}`" for item in default)
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _type(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "enum" in field:
        return " \\| ".join(f"`{value}`" for value in field["enum"])
    if "anyOf" in field:
        kinds = [_type(option, definitions) for option in field["anyOf"]]
        return " or ".join(kind for kind in kinds if kind != "null")
    if "additionalProperties" in field:
        return "mapping"
    if "$ref" in field:
        target = definitions[field["$ref"].rpartition("/")[2]]
        return _type(target, definitions) if "enum" in target else "section"
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}), definitions)}"
    return str(field.get("type", ""))


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(PAGE.read_text("utf-8") != page())
    PAGE.write_text(page(), "utf-8")
