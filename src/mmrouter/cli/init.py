"""`mmrouter init`."""

from __future__ import annotations

import os
from pathlib import Path

import click

_PRESETS = {"anthropic": "default", "openai": "openai", "google": "google", "local": "local"}
_KEY_PAGES = {
    "anthropic": "https://console.anthropic.com/settings/keys",
    "openai": "https://platform.openai.com/api-keys",
    "google": "https://aistudio.google.com/apikey",
}


@click.command(short_help="Set mmrouter up: choose a provider, check its key, write a config.")
@click.option("--provider", type=click.Choice(list(_PRESETS)), help="Asked for if not given.")
@click.option(
    "--output",
    default="configs/default.yaml",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the config goes.",
)
@click.option("--force", is_flag=True, help="Overwrite the file without asking.")
@click.option("--offline", is_flag=True, help="Do not try the key.")
def init(provider: str | None, output: Path, force: bool, offline: bool) -> None:
    """Choose a provider, check its API key, and write a routing config.

    The key itself is read from the environment and written nowhere.
    """
    from mmrouter.config import load_config
    from mmrouter.config.load import read_source
    from mmrouter.providers.registry import Registry

    if provider is None:
        provider = click.prompt("Choose a provider", type=click.Choice(list(_PRESETS)))
    preset = _PRESETS[provider]
    text, _ = read_source(f"{preset}.yaml") if not Path(preset).is_file() else read_source(preset)
    if output.exists() and not force:
        click.confirm(f"{output} exists. Overwrite it?", abort=True)
    config = load_config(preset)
    registry = Registry(config)
    target = registry.resolve(config.model_names()[0])
    ready = registry.has_key(target)
    env = target.api_key_env
    if env and ready:
        click.secho(f"API key: {env} is set", fg="green")
        if not offline:
            _try_key(target.base_url or "", os.environ[env], provider)
    elif env:
        click.secho(f"API key: {env} is not set", fg="yellow")
        click.echo(f"  export {env}=your-key      # get one at {_KEY_PAGES[provider]}")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}") from None
    click.secho(f"Config saved to {output}.", fg="green")
    chosen = "" if str(output) == "configs/default.yaml" else f"-c {output} "
    before = "Next" if ready else f"Set {env}, then (or now, for a small local model's answer)"
    click.echo(f'{before}: mmrouter {chosen}route "What is the capital of France?"')


def _try_key(base_url: str, key: str, provider: str) -> None:
    """Lists the provider's models with the key: says whether it is taken, as far as can be told."""
    import urllib.error
    import urllib.request

    headers = {"authorization": f"Bearer {key}"}
    if provider == "anthropic":
        headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
    request = urllib.request.Request(f"{base_url}/models", headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=5):  # noqa: S310 - a registry row's https URL
            click.secho(f"  {provider} accepts the key", fg="green")
    except urllib.error.HTTPError as error:
        if error.code in (400, 401, 403):
            click.secho(f"  {provider} refuses the key ({error.code})", fg="red")
        else:
            click.secho(f"  {provider} answered {error.code}: the key was not checked", fg="yellow")
    except OSError:
        click.secho(f"  {provider} cannot be reached: the key was not checked", fg="yellow")
