"""Parts of the server that are plain functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mmrouter.config.load import parse_config
from mmrouter.errors import ConfigError, InvalidRequestError
from mmrouter.server.auth import Client, hash_key
from mmrouter.server.body import deeper_than
from mmrouter.server.headers import controls, safe, usd
from mmrouter.server.keyfile import new_key, rewrite, with_key, without_key
from mmrouter.server.limits import RateLimits
from mmrouter.server.origin import is_loopback
from mmrouter.server.refusals import TooManyRequestsError
from tests.support.configs import one_route


@given(st.text())
def test_a_header_value_is_one_line_of_printable_ascii(text: str) -> None:
    assert safe(text).decode("ascii").isprintable()


@given(st.integers(0, 10**15))
def test_dollars_are_exact(nanos: int) -> None:
    whole, _, rest = usd(nanos).decode().partition(".")
    assert int(whole) * 10**9 + int(rest) == nanos
    assert len(rest) == 9


@given(st.integers(0, 10**15))
def test_a_cost_that_we_print_is_a_bound_that_we_take(nanos: int) -> None:
    assert controls({b"x-mmrouter-max-cost": usd(nanos)}).max_cost_nanos == nanos


@given(
    st.dictionaries(
        st.sampled_from(
            [
                b"x-mmrouter-session",
                b"x-mmrouter-max-cost",
                b"x-mmrouter-tags",
                b"x-mmrouter-dry-run",
            ]
        ),
        st.binary(),
    )
)
def test_controls_understand_or_refuse(headers: dict[bytes, bytes]) -> None:
    try:
        asked = controls(headers)
    except InvalidRequestError:
        return
    assert asked.max_cost_nanos is None or asked.max_cost_nanos >= 0
    assert len(asked.tags) <= 20


nested = st.recursive(st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


def depth(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(nested, st.integers(1, 6))
def test_depth(value: Any, most: int) -> None:
    body = {"a": value}
    raw = b"{" * 10_000  # as many brackets as it takes to be looked at
    assert deeper_than(most, body, raw) == (depth(body) > most)


def test_loopback() -> None:
    for host in ("127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "a.localhost", "LOCALHOST"):
        assert is_loopback(host)
    for host in ("0.0.0.0", "", "10.0.0.1", "localhost.example", "127.0.0.1.example", "1::1"):
        assert not is_loopback(host)


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 5))
def test_no_minute_has_more_than_the_limit(pauses: list[float], most: int) -> None:
    now = 0.0
    limits = RateLimits(lambda: now)
    client = Client("c", (), most)
    admitted: list[float] = []
    told: list[float] = []
    full: list[int] = []
    for pause in pauses:
        now += pause
        try:
            limits.admit(client)
            admitted.append(now)
        except TooManyRequestsError as error:
            told.append(error.retry_after_s)
            full.append(sum(t > now - 60 for t in admitted))
    assert all(0 < seconds < 60.001 for seconds in told)
    assert set(full) <= {most}
    assert all(sum(start <= t < start + 60 for t in admitted) <= most for start in admitted)


CONFIGS = {
    "no server section": "# mine\n{routes}\n",
    "empty": "server:\n{routes}\n",
    "other settings": "{routes}\nserver:\n    max_messages: 5  # few\n\n# end\n",
    "empty keys": "server:\n  keys:\n  max_messages: 5\n{routes}\n",
    "a key": 'server:\n  keys:\n    old: {{hash: "sha256:%s"}}\n{routes}\n' % ("0" * 64),
    "a key in lines": (
        'server:\n  keys:\n    old:\n      hash: "sha256:%s"\n      tags: [a]\n\n  # why\n'
        "  max_messages: 5\n{routes}\n"
    )
    % ("0" * 64),
}


@pytest.mark.parametrize("text", CONFIGS.values(), ids=CONFIGS)
def test_a_key_is_added_and_taken_out_and_all_else_stays(text: str, tmp_path: Path) -> None:
    routes = yaml.safe_dump({"routes": one_route("gpt-x")}, default_flow_style=True, width=10**6)
    text = text.format(routes=routes.strip()[1:-1])
    before = yaml.safe_load(text)
    path = tmp_path / "c.yaml"
    path.write_text(text)
    path.chmod(0o600)
    key = new_key()
    rewrite(path, with_key(path.read_text(), "ann", key, {"tags": ["x"], "daily_limit": 1.5}))
    added = parse_config(path.read_text()).server
    assert added.keys["ann"].hash == hash_key(key)
    assert (added.keys["ann"].tags, added.keys["ann"].daily_limit) == (("x",), 1.5)
    assert key not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="already"):
        with_key(path.read_text(), "ann", key, {})
    rewrite(path, without_key(path.read_text(), "ann"))
    after = yaml.safe_load(path.read_text())
    assert (after.get("server") or {}).get("keys") == ((before.get("server") or {}).get("keys"))
    for line in text.splitlines():
        assert line in path.read_text().splitlines() or line.strip() == "keys:"
    if added.keys.keys() > {"ann"}:
        last = without_key(path.read_text(), "old")
        assert parse_config(last).server.keys == {}
        assert parse_config(last).server.max_messages == added.max_messages
    with pytest.raises(ConfigError, match="no key"):
        without_key(path.read_text(), "ann")


def test_braces_are_left_to_people() -> None:
    with pytest.raises(ConfigError, match="braces"):
        with_key("server: {max_messages: 5}\n", "ann", "k", {})
