"""The channels that a config names."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from mmrouter.alerts.base import Channel
from mmrouter.alerts.webhook import Webhook
from mmrouter.config.schema import AlertsConfig
from mmrouter.errors import ConfigError


def open_channels(config: AlertsConfig) -> list[Channel]:
    """Every channel that config names; none where alerts are only logged.

    Raises:
        ConfigError: an environment variable that config names is empty, or what it holds is wrong.
        MissingDependencyError: the extra `notify` is not installed.
    """
    found: list[Channel] = []
    url = _held("webhook_url_env", config.webhook_url_env) or config.webhook_url
    if url is not None:
        if not _is_web(url):  # not shown: it may be a secret
            key = "webhook_url_env" if config.webhook_url_env else "webhook_url"
            raise ConfigError(f"alerts.{key}: expected an http or https URL with a host")
        found.append(
            Webhook(
                url,
                form=config.format,
                secret=_held("secret_env", config.secret_env),
                allow_private=config.allow_private,
            )
        )
    urls = _held("notify_env", config.notify_env)
    if urls is not None:
        from mmrouter.alerts.notify import Notify

        found.append(Notify(urls))
    return found


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an unclosed bracket, a port that is no number
        return False


def _held(key: str, variable: str | None) -> str | None:
    """What an environment variable holds that config names; None where it names none."""
    if variable is None:
        return None
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ConfigError(f"alerts.{key}: the environment variable {variable} is empty")
    return value
