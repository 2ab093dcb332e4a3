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
    from mmrouter.bootstrap import priced_config
    from mmrouter.providers.registry import Registry

    name = source or obj["config"]
    checked = priced_config(name)
    registry = Registry(checked)
    targets = [registry.resolve(model) for model in checked.model_names()]
    click.secho(f"{name}: valid, {len(targets)} models", fg="green")
    for target in targets:
        key = "" if registry.has_key(target) else f"  ({target.api_key_env} is not set)"
        click.echo(f"  {target.name} at {target.provider}{key}")


@config.command()
@click.option("--port", type=int, help="Of the server; needed where several run.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for its answer.")
def reload(port: int | None, timeout: float) -> None:
    """Make a running server read its config file anew; the same as SIGHUP.

    A faulty config is refused and changes nothing. Requests under way end by the config that they
    began with; no request is dropped.
    """
    from mmrouter.cli.reload import reload_server

    reload_server(port, timeout)


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
