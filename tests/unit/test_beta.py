"""The Beta distribution against scipy's values and against its own laws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrouter.decide.beta import distribution, quantile

# scipy 1.17.1: (a, b, p, scipy.special.betaincinv(a, b, p))
KNOWN = [
    (0.5, 0.5, 0.001, 2.46739907092e-06),
    (0.5, 0.5, 0.05, 0.00615582970243),
    (0.5, 0.5, 0.5, 0.5),
    (0.5, 0.5, 0.95, 0.993844170298),
    (0.5, 0.5, 0.999, 0.999997532601),
    (1, 1, 0.001, 0.001),
    (1, 1, 0.05, 0.05),
    (1, 1, 0.5, 0.5),
    (1, 1, 0.95, 0.95),
    (1, 1, 0.999, 0.999),
    (1, 7, 0.001, 0.000142918405275),
    (1, 7, 0.05, 0.00730083197901),
    (1, 7, 0.5, 0.0942763357361),
    (1, 7, 0.95, 0.348163655131),
    (1, 7, 0.999, 0.627240627969),
    (3, 2, 0.001, 0.0640381391028),
    (3, 2, 0.05, 0.24860462573),
    (3, 2, 0.5, 0.614272431868),
    (3, 2, 0.95, 0.902388537114),
    (3, 2, 0.999, 0.986977052629),
    (2.5, 40.25, 0.001, 0.00256062801083),
    (2.5, 40.25, 0.05, 0.0138741919207),
    (2.5, 40.25, 0.5, 0.0516937588078),
    (2.5, 40.25, 0.95, 0.126329031034),
    (2.5, 40.25, 0.999, 0.221441390709),
    (30, 10, 0.001, 0.514884289275),
    (30, 10, 0.05, 0.631847098871),
    (30, 10, 0.5, 0.75419893248),
    (30, 10, 0.95, 0.853781369609),
    (30, 10, 0.999, 0.91741711893),
    (700, 300, 0.001, 0.654173659282),
    (700, 300, 0.05, 0.675948618991),
    (700, 300, 0.5, 0.700133380608),
    (700, 300, 0.95, 0.723596342796),
    (700, 300, 0.999, 0.743550801199),
    (5000, 12000, 0.001, 0.283388743162),
    (5000, 12000, 0.05, 0.288383426197),
    (5000, 12000, 0.5, 0.294109573074),
    (5000, 12000, 0.95, 0.299879409218),
    (5000, 12000, 0.999, 0.304984590235),
    (0.8, 2000, 0.001, 8.13657802684e-08),
    (0.8, 2000, 0.05, 1.09492539113e-05),
    (0.8, 2000, 0.5, 0.000250656726739),
    (0.8, 2000, 0.95, 0.00129679511027),
    (0.8, 2000, 0.999, 0.00317433105933),
]

parameters = st.floats(0.5, 5_000)
shares = st.floats(0.0, 1.0)


@pytest.mark.parametrize(("a", "b", "p", "x"), KNOWN)
def test_it_is_what_scipy_says(a: float, b: float, p: float, x: float) -> None:
    assert distribution(x, a, b) == pytest.approx(p, abs=1e-8)
    assert quantile(p, a, b) == pytest.approx(x, abs=2e-5)


@given(a=parameters, b=parameters, x=shares)
def test_mirrored_parameters_mirror_the_distribution(a: float, b: float, x: float) -> None:
    assert distribution(x, a, b) == pytest.approx(1 - distribution(1 - x, b, a), abs=1e-9)


@given(a=parameters, b=parameters, x=shares, y=shares)
def test_it_grows(a: float, b: float, x: float, y: float) -> None:
    low, high = sorted((x, y))
    assert 0 <= distribution(low, a, b) <= distribution(high, a, b) + 1e-9 <= 1 + 2e-9


@given(a=st.floats(1, 2_000), b=st.floats(1, 2_000), p=st.floats(0.001, 0.999))
def test_the_quantile_undoes_the_distribution(a: float, b: float, p: float) -> None:
    x = quantile(p, a, b)
    assert 0 <= x <= 1
    around = distribution(x - 2e-5, a, b) - 1e-9, distribution(x + 2e-5, a, b) + 1e-9
    assert around[0] <= p <= around[1]


def test_the_ends() -> None:
    assert (quantile(0, 3, 4), quantile(1, 3, 4)) == (0, 1)
    assert (distribution(0, 3, 4), distribution(1, 3, 4)) == (0, 1)
