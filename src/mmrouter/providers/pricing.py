"""Where prices and facts of models come from: config, or the bundled table.

Prices of models without a price in config come from the table that ships inside the LiteLLM
package. It is read as a data file: LiteLLM itself is not imported (docs/decisions/0004).
"""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import orjson

from mmrouter.config.schema import PriceRow
from mmrouter.money import breakdown as breakdown
from mmrouter.types import Price, Rates

_TABLE_FILE = "model_prices_and_context_window_backup.json"
_PICO_PER_USD = 10**12
_TIER = re.compile(r"input_cost_per_token_above_(\d+)k_tokens")
_CAPABILITIES = {
    "supports_function_calling": "tools",
    "supports_vision": "vision",
    "supports_response_schema": "json_schema",
    "supports_audio_input": "audio",
    "supports_reasoning": "reasoning",
}

FREE = Price(
    tiers=((0, Rates(input=0, output=0, cache_read=0, cache_write=0, reasoning=0)),),
    source="own hardware",
)
"""The price of a model on one's own machine: nobody sends a bill."""


def from_config(row: PriceRow) -> Price:
    """The price that a config row gives (USD per million tokens)."""

    def pico(usd: float | None, default: int) -> int:
        return default if usd is None else round(usd * 1_000_000)

    base, output = pico(row.input, 0), pico(row.output, 0)
    rates = Rates(
        input=base,
        output=output,
        cache_read=pico(row.cache_read, base),
        cache_write=pico(row.cache_write, base),
        reasoning=pico(row.reasoning, output),
        cache_write_1h=None if row.cache_write_1h is None else pico(row.cache_write_1h, 0),
    )
    return Price(tiers=((0, rates),), source="config")


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the table knows of a model; None is unknown."""

    price: Price | None = None
    context_window: int | None = None
    max_output: int | None = None
    capabilities: frozenset[str] | None = None


def lookup(*names: str) -> ModelFacts:
    """Facts under the first of these names that the table has."""
    table = _table()
    for name in names:
        row = table.get(name)
        if isinstance(row, dict):
            return _facts(row)
    return ModelFacts()


@functools.cache
def _table() -> Mapping[str, Any]:
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        return {}
    table: Mapping[str, Any] = orjson.loads(Path(spec.origin).with_name(_TABLE_FILE).read_bytes())
    return table


@functools.cache
def _source() -> str:
    return f"litellm {metadata.version('litellm')}"


def _facts(row: Mapping[str, Any]) -> ModelFacts:
    window = row.get("max_input_tokens") or row.get("max_tokens")
    most = row.get("max_output_tokens")
    return ModelFacts(
        price=_price(row),
        context_window=window if isinstance(window, int) else None,
        max_output=most if isinstance(most, int) else None,
        capabilities=frozenset(name for key, name in _CAPABILITIES.items() if row.get(key)),
    )


def _price(row: Mapping[str, Any]) -> Price | None:
    """The row's price; None where it is missing or zero: an unknown price is not a free model."""
    if not row.get("input_cost_per_token") and not row.get("output_cost_per_token"):
        return None
    tiers = [(0, _rates(row, ""))]
    for key in row:
        above = _TIER.fullmatch(key)
        if above:
            thousands = int(above[1])
            tiers.append((thousands * 1000 + 1, _rates(row, f"_above_{thousands}k_tokens")))
    return Price(tiers=tuple(sorted(tiers, key=lambda tier: tier[0])), source=_source())


def _rates(row: Mapping[str, Any], suffix: str) -> Rates:
    def pico(key: str) -> int | None:
        value = row.get(key + suffix, row.get(key))
        return round(value * _PICO_PER_USD) if isinstance(value, int | float) else None

    base = pico("input_cost_per_token") or 0
    output = pico("output_cost_per_token") or 0
    read = pico("cache_read_input_token_cost")
    written = pico("cache_creation_input_token_cost")
    reasoning = pico("output_cost_per_reasoning_token")
    written_1h = pico("cache_creation_input_token_cost_above_1hr")
    return Rates(
        input=base,
        output=output,
        cache_read=base if read is None else read,
        cache_write=base if written is None else written,
        reasoning=output if reasoning is None else reasoning,
        cache_write_1h=written_1h,
    )
