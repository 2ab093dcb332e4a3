"""`mmrouter config`."""

from __future__ import annotations

import json

import click


@click.group(short_help="Check and show configs.")
def config() -> None:
    """Check and show configs."""


@config.command()
@click.argument("source", metavar="FILE|PRESET", required=False)
@click.pass_obj
def check(obj: dict[str, str], source: str | None) -> None:
    """Say whether FILE is a valid config; if not, what is wrong on which line.

    Every model that it routes to must be known and have a price.
    """
    from mmrouter.config import load_config
    from mmrouter.providers.registry import Registry

    name = source or obj["config"]
    checked = load_config(name)
    registry = Registry(checked)
    targets = [registry.priced(model) for model in checked.model_names()]
    click.secho(f"{name}: valid, {len(targets)} models", fg="green")
    for target in targets:
        key = "" if registry.has_key(target) else f"  ({target.api_key_env} is not set)"
        click.echo(f"  {target.name} at {target.provider}{key}")


@config.command()
@click.argument("source", metavar="FILE|PRESET", required=False)
@click.pass_obj
def show(obj: dict[str, str], source: str | None) -> None:
    """Print a config with every default filled in, as YAML."""
    import yaml

    from mmrouter.config import load_config

    plain = load_config(source or obj["config"]).model_dump(mode="json", exclude_none=True)
    click.echo(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).rstrip())


@config.command()
def schema() -> None:
    """Print the JSON Schema of configs, for editors."""
    from mmrouter.config import Config

    click.echo(json.dumps(Config.model_json_schema(), indent=2))
