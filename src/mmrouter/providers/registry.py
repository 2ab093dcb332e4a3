"""Providers as rows of data, and model names resolved to targets.

A row is all that a provider with an OpenAI-compatible API needs. Model names appear here only as
patterns that say whose they are; which model serves what is config's to say.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from mmrouter.config.schema import Config, ModelRow, ProviderRow
from mmrouter.errors import ConfigError, UnknownModelError, UnpricedModelError
from mmrouter.providers import pricing
from mmrouter.types import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """An endpoint and how to speak to it.

    Attributes:
        kind: "openai", "anthropic", "litellm" or "local".
        base_url: API root, or None where the kind knows it.
        api_key_env: environment variable with the key; None needs no key.
        pattern: model names that belong to this provider, as a regular expression.
        table: prefixes under which the price table lists its models.
        own_hardware: calls cost nothing.
    """

    name: str
    kind: str
    base_url: str | None = None
    api_key_env: str | None = None
    pattern: str | None = None
    table: tuple[str, ...] = ()
    own_hardware: bool = False


BUILT_IN: Mapping[str, Provider] = {
    row.name: row
    for row in (
        Provider(
            name="anthropic",
            kind="anthropic",
            base_url="https://api.anthropic.com/v1",
            api_key_env="ANTHROPIC_API_KEY",
            pattern=r"claude-.+",
            table=("", "anthropic/"),
        ),
        Provider(
            name="openai",
            kind="openai",
            base_url="https://api.openai.com/v1",
            api_key_env="OPENAI_API_KEY",
            pattern=r"(gpt-|chatgpt-|o\d|text-embedding-).*",
            table=("", "openai/"),
        ),
        Provider(
            name="google",
            kind="openai",
            base_url="https://generativelanguage.googleapis.com/v1beta/openai",
            api_key_env="GOOGLE_API_KEY",
            pattern=r"gemini-.+",
            table=("gemini/",),
        ),
        Provider(
            name="openrouter",
            kind="openai",
            base_url="https://openrouter.ai/api/v1",
            api_key_env="OPENROUTER_API_KEY",
            table=("openrouter/",),
        ),
        Provider(
            name="groq",
            kind="openai",
            base_url="https://api.groq.com/openai/v1",
            api_key_env="GROQ_API_KEY",
            table=("groq/",),
        ),
        Provider(
            name="mistral",
            kind="openai",
            base_url="https://api.mistral.ai/v1",
            api_key_env="MISTRAL_API_KEY",
            pattern=r"(mistral|ministral|codestral|magistral|devstral|pixtral)-.+",
            table=("mistral/",),
        ),
        Provider(
            name="deepseek",
            kind="openai",
            base_url="https://api.deepseek.com/v1",
            api_key_env="DEEPSEEK_API_KEY",
            pattern=r"deepseek-.+",
            table=("deepseek/",),
        ),
        Provider(
            name="together",
            kind="openai",
            base_url="https://api.together.xyz/v1",
            api_key_env="TOGETHER_API_KEY",
            table=("together_ai/",),
        ),
        Provider(
            name="ollama",
            kind="openai",
            base_url="http://127.0.0.1:11434/v1",
            own_hardware=True,
        ),
        Provider(
            name="vllm",
            kind="openai",
            base_url="http://127.0.0.1:8000/v1",
            own_hardware=True,
        ),
        Provider(name="local", kind="local", pattern=r"smollm2-135m", own_hardware=True),
        Provider(name="litellm", kind="litellm", table=("",)),
    )
}

LOCAL_MODEL = "smollm2-135m"
"""The embedded default: its weights come from a Python package."""

_LOCAL_WINDOW = 4096


class Registry:
    """Resolves names to targets for one config. Pure but for `has_key`, which reads the
    environment."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._providers = {**BUILT_IN, **_own(config.providers)}
        self._targets: dict[str, Target] = {}
        for name, row in config.models.items():
            if row.provider not in self._providers:
                raise ConfigError(
                    f"models.{name}.provider: no provider '{row.provider}'"
                    + _did_you_mean(row.provider, self._providers)
                )

    def resolve(self, name: str) -> Target:
        """The target of a model name.

        Raises:
            UnknownModelError: no row in `models`, pattern or provider prefix matches.
        """
        target = self._targets.get(name)
        if target is None:
            target = self._build(name)
            if len(self._targets) < _MOST_CACHED:
                self._targets[name] = target
        return target

    def priced(self, name: str) -> Target:
        """The target, refused where its price is unknown and config does not allow that.

        Raises:
            UnknownModelError, UnpricedModelError
        """
        target = self.resolve(name)
        if target.price is None and self._config.unpriced == "refuse":
            raise UnpricedModelError(
                f"No price is known for model '{name}'. Give one under `models:` in the config "
                f"({name}: {{provider: {target.provider}, price: {{input: 1.0, output: 2.0}}}}, "
                "USD per million tokens), or set `unpriced: allow` to record it as unknown."
            )
        return target

    def has_key(self, target: Target) -> bool:
        """The target can be called: it needs no key, or its key is in the environment."""
        if target.kind == "litellm":
            return True  # LiteLLM finds the keys of its providers itself
        return target.api_key_env is None or bool(os.environ.get(target.api_key_env))

    def _build(self, name: str) -> Target:
        row = self._config.models.get(name)
        if row is not None:
            return self._from_row(name, row)
        provider, upstream = self._owner(name)
        return self._target(name, provider, upstream)

    def _owner(self, name: str) -> tuple[Provider, str]:
        mapped = self._config.provider.provider_map.get(name)
        if mapped is not None:
            if mapped not in self._providers:
                raise ConfigError(
                    f"provider.provider_map.{name}: no provider '{mapped}'"
                    + _did_you_mean(mapped, self._providers)
                )
            return self._providers[mapped], name
        prefix, slash, rest = name.partition("/")
        if slash and rest and prefix in self._providers:
            return self._providers[prefix], rest
        for provider in self._providers.values():
            if provider.pattern and not slash and re.fullmatch(provider.pattern, name):
                return provider, name
        known = [*self._config.models, *self._config.model_names()]
        raise UnknownModelError(
            f"Unknown model '{name}'. Use 'auto', a name under `models:` in the config, or "
            f"'provider/model' with one of: {', '.join(self._providers)}"
            + _did_you_mean(name, known),
            param="model",
        )

    def _from_row(self, name: str, row: ModelRow) -> Target:
        provider = self._providers[row.provider]
        target = self._target(name, provider, row.upstream or name)
        if provider.kind == "local" and row.path:
            target = replace(target, upstream=row.path)
        if row.price is not None:
            target = replace(target, price=pricing.from_config(row.price))
        return replace(
            target,
            context_window=row.context_window or target.context_window,
            max_output=row.max_output or target.max_output,
            capabilities=(
                target.capabilities if row.capabilities is None else frozenset(row.capabilities)
            ),
        )

    def _target(self, name: str, provider: Provider, upstream: str) -> Target:
        facts = pricing.lookup(*(prefix + upstream for prefix in provider.table))
        local = provider.kind == "local"
        return Target(
            name=name,
            provider=provider.name,
            kind=provider.kind,
            upstream=upstream,
            base_url=provider.base_url.rstrip("/") if provider.base_url else None,
            api_key_env=provider.api_key_env,
            price=pricing.FREE if provider.own_hardware else facts.price,
            context_window=_LOCAL_WINDOW if local else facts.context_window,
            max_output=facts.max_output,
            capabilities=frozenset() if local else facts.capabilities,
            prompt_caching=self._config.provider.prompt_caching and provider.kind == "anthropic",
        )


_MOST_CACHED = 10_000
"""Clients choose explicit names, so the cache must not grow with them without end."""


def _own(rows: Mapping[str, ProviderRow]) -> dict[str, Provider]:
    """Config's providers; one named like a built-in row changes only what it gives."""
    own = {}
    for name, row in rows.items():
        base = BUILT_IN.get(name, Provider(name=name, kind=row.kind))
        given = {f: getattr(row, f) for f in row.model_fields_set}
        own[name] = replace(base, **given)
    return own


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""
