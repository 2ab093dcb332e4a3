"""Configs: presets load, mistakes are named with file, line, key and the nearest valid name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrouter.config import load_config, parse_config, preset_names
from mmrouter.config.load import read_source
from mmrouter.errors import ConfigError
from mmrouter.providers.registry import Registry

DEFAULT, _ = read_source("default")


def fault(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "my.yaml")
    return str(caught.value)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_valid_and_all_its_models_have_a_price(name: str) -> None:
    config = load_config(name)
    registry = Registry(config)
    assert all(registry.priced(model).price for model in config.model_names())


def test_the_presets_of_the_seed_are_there() -> None:
    assert {
        "default", "openai", "google", "cascade", "budget", "multi-provider", "local",
    } <= set(preset_names())  # fmt: skip


def test_a_published_path_works_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config("configs/cascade.yaml").cascade.enabled
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "cascade.yaml").write_text(DEFAULT)
    assert not load_config("configs/cascade.yaml").cascade.enabled


def test_quoted_numbers_are_accepted() -> None:
    assert parse_config(DEFAULT.replace("30000", '"45000"')).provider.timeout_ms == 45000
    assert parse_config(DEFAULT).classifier.threshold == 0.7


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("timeout_ms", "timout_ms", "unknown key 'provider.timout_ms'; did you mean 'timeout_ms'?"),
        ("simple:", "simpel:", "unknown key 'routes.simpel'; did you mean 'simple'?"),
        ("fallbacks:", "fallback:", "did you mean 'fallbacks'?"),
        (
            "strategy: auto",
            "strategy: rulez",
            "'auto', 'rules', 'embeddings' or 'llm', got 'rulez'",
        ),
        ('"0.7"', "1.7", "less than or equal to 1, got 1.7"),
        ("30000", "soon", "valid integer"),
        ("daily_limit: 0.0", "daily_limit: .nan", "finite"),
    ],
)
def test_a_mistake_is_named_with_its_line(old: str, new: str, expected: str) -> None:
    assert old in DEFAULT
    text = DEFAULT.replace(old, new, 1)
    line = next(n for n, row in enumerate(text.splitlines(), 1) if new in row)
    message = fault(text)
    assert f"my.yaml:{line}: " in message
    assert expected in message


def test_all_mistakes_are_named_at_once() -> None:
    message = fault(DEFAULT.replace("timeout_ms", "timout_ms").replace("rules:", "ruls:"))
    assert "timout_ms" in message
    assert "ruls" in message


def test_a_missing_bucket_is_named() -> None:
    message = fault("routes: {simple: {factual: {model: a}}}")
    assert "simple.reasoning" in message
    assert "complex.code" in message


def test_a_key_given_twice_is_refused() -> None:
    message = fault(DEFAULT + "\nbudget:\n  enabled: true\n")
    assert "'budget' is given twice" in message


def test_a_yaml_bomb_is_refused_quickly() -> None:
    rows = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    assert "too large" in fault("\n".join(rows))
    assert "too" in fault("a: &a [*a]")


def test_bytes_that_are_not_utf8_are_named_by_line(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(b"routes:\n  \xff: 1\n")
    with pytest.raises(ConfigError, match=r"c\.yaml:2: not valid UTF-8"):
        load_config(file)


def test_a_missing_file_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match="mmrouter init"):
        load_config("nowhere.yaml")


def test_a_model_without_a_provider_is_refused() -> None:
    config = parse_config(DEFAULT + "models: {m: {provider: opena}}")
    with pytest.raises(ConfigError, match="did you mean 'openai'"):
        Registry(config)


@given(st.text())
def test_no_text_does_more_than_raise_a_config_error(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_config(text)
