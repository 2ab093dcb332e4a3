"""What providers say of their rate limits."""

from __future__ import annotations

import email.utils
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrouter.decide.rate_limit import Allowance, left_at, shortage
from mmrouter.providers.failures import from_status, retry_after
from mmrouter.providers.rate_limits import allowances

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("1s", 1.0),
        ("12ms", 0.012),
        ("6m0s", 360.0),
        ("1h2m3.5s", 3723.5),
        ("2m59.56s", 179.56),
        ("1d", 86400.0),
        ("30", 30.0),
        ("0.5", 0.5),
        (f"{NOW + 20:.0f}", 20.0),
        (f"{(NOW + 20) * 1000:.0f}", 20.0),
        ("2023-11-14T22:13:50Z", 30.0),
        ("9999d", 86400.0),
    ],
)
def test_a_reset_in_every_form_that_is_met(reset: str, seconds: float) -> None:
    headers = {
        "x-ratelimit-remaining-tokens": "7",
        "x-ratelimit-limit-tokens": "900",
        "x-ratelimit-reset-tokens": reset,
    }
    (one,) = allowances(headers, NOW)
    assert (one.kind, one.left, one.limit) == ("tokens", 7, 900)
    assert one.reset - NOW == pytest.approx(seconds, abs=1e-3)


def test_anthropics_headers() -> None:
    reset = {"reset": "2023-11-14T22:13:50Z"}
    told = {
        "requests": {"remaining": "20", "limit": "50", **reset},
        "input-tokens": {"remaining": "12000", "limit": "40000", **reset},
        "output-tokens": {"remaining": "8000", "limit": "8000", **reset},
    }
    headers = {f"anthropic-ratelimit-{k}-{p}": v for k, row in told.items() for p, v in row.items()}
    assert allowances(headers, NOW) == (
        Allowance("requests", 20, 50, NOW, NOW + 30),
        Allowance("tokens", 12_000, 40_000, NOW, NOW + 30),
    )


@given(
    st.dictionaries(
        st.sampled_from(
            ["x-ratelimit-remaining", "x-ratelimit-limit", "x-ratelimit-reset", "retry-after"]
        ),
        st.text(max_size=30) | st.floats().map(str) | st.integers().map(str),
    )
)
def test_nonsense_in_headers_harms_nobody(headers: dict[str, str]) -> None:
    for one in allowances(headers, NOW):
        assert one.left >= 0
        assert NOW <= one.reset <= NOW + 86_400
    wish = retry_after(headers)
    assert wish is None or 0 <= wish <= 86_400


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e99"}, 86_400.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000"])
def test_retry_after_as_a_date(zone: str) -> None:
    date = email.utils.formatdate(time.time() + 30, usegmt=True).replace("GMT", zone)
    assert retry_after({"retry-after": date}) == pytest.approx(30, abs=2)
    past = email.utils.formatdate(time.time() - 30, usegmt=True)
    assert retry_after({"retry-after": past}) == 0


def test_a_429_without_retry_after_is_read_by_its_resets() -> None:
    headers = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "20s",
        "x-ratelimit-remaining-tokens": "100",
        "x-ratelimit-reset-tokens": "50s",
    }
    error = from_status(429, b"{}", headers, who="p", secret=None)
    assert error.retry_after_s == pytest.approx(20, abs=0.1)
    assert from_status(500, b"{}", headers, who="p", secret=None).retry_after_s is None


@given(
    left=st.integers(0, 1000),
    limit=st.none() | st.integers(0, 1000),
    sent=st.integers(0, 1000),
    wanted=st.integers(0, 1000),
    later=st.floats(0, 120),
)
def test_a_shortage_ends_by_the_reset_and_what_fits_is_none(
    left: int, limit: int | None, sent: int, wanted: int, later: float
) -> None:
    told = [Allowance("tokens", left, limit, NOW, NOW + 60)]
    short = shortage(told, requests=0, tokens=sent, wanted=wanted, now=NOW + later)
    if sent + wanted <= left or later >= 60:
        assert short is None
    if short is not None:
        assert NOW + later < short.until <= NOW + 60


@given(
    left=st.integers(0, 1000),
    more=st.integers(0, 1000),
    used=st.integers(0, 2000),
    after=st.floats(0, 200),
)
def test_what_is_left_is_within_the_limit_and_agrees_with_who_is_passed_over(
    left: int, more: int, used: int, after: float
) -> None:
    one = Allowance("requests", left, left + more, NOW, NOW + 100)
    now = NOW + after
    found = left_at(one, used=used, now=now)
    assert 0 <= found <= left + more
    if found > 0 and after < 100:
        assert shortage([one], requests=used, tokens=0, wanted=0, now=now) is None
    assert found <= left_at(one, used=max(0, used - 1), now=now)
