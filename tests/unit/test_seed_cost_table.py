"""The cost table of the 0.1.0 description, from its own assumptions and our arithmetic.

"1,000 requests/day, 500 input + 1,000 output tokens each": a month of 30 days. Haiku costs 0.80
and 4.00 dollars per million tokens in and out, Sonnet 3 and 15, Opus 15 and 75; "60/30/10" are the
shares of simple (Haiku), medium (Sonnet) and complex (Opus) requests. All four figures and all
percentages follow; the routed ones are 475.20 and 339.90 before rounding.
"""

from __future__ import annotations

import pytest

from mmrouter.config.schema import PriceRow
from mmrouter.money import breakdown, to_usd
from mmrouter.providers.pricing import from_config
from mmrouter.types import Usage

HAIKU, SONNET, OPUS = (
    from_config(PriceRow(input=input, output=output))
    for input, output in ((0.80, 4.00), (3.00, 15.00), (15.00, 75.00))
)
REQUESTS = 1_000 * 30
USAGE = Usage(input_tokens=500, output_tokens=1_000)


def monthly_usd(*, simple: int = 0, medium: int = 0, complex: int = 0) -> float:
    """Shares in percent."""
    shares = ((HAIKU, simple), (SONNET, medium), (OPUS, complex))
    nanos = (breakdown(price, USAGE).total * REQUESTS * share // 100 for price, share in shares)
    return to_usd(sum(nanos))


@pytest.mark.parametrize(
    ("shares", "exact", "published", "vs_sonnet", "vs_opus"),
    [
        ({"complex": 100}, 2475.0, 2475, +400, 0),
        ({"medium": 100}, 495.0, 495, 0, -80),
        ({"simple": 60, "medium": 30, "complex": 10}, 475.2, 475, -4, -81),
        ({"simple": 70, "medium": 25, "complex": 5}, 339.9, 340, -31, -86),
    ],
)
def test_the_published_monthly_costs(
    shares: dict[str, int], exact: float, published: int, vs_sonnet: int, vs_opus: int
) -> None:
    cost = monthly_usd(**shares)
    assert cost == exact
    assert round(cost) == published
    assert round(100 * (cost / monthly_usd(medium=100) - 1)) == vs_sonnet
    assert round(100 * (cost / monthly_usd(complex=100) - 1)) == vs_opus
