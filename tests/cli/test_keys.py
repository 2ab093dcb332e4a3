"""`mmrouter keys`."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from mmrouter.server.auth import hash_key
from tests.support.command import mmrouter
from tests.support.configs import config_for


def test_create_list_revoke(tmp_path: Path) -> None:
    config = config_for({"m": "http://127.0.0.1:1/v1"}).model_dump(mode="json", include={"routes"})
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    made = mmrouter("-c", "c.yaml", "keys", "create", "ci", "--tag", "a", cwd=tmp_path)
    assert made.code == 0, made.err
    key = made.out.strip()
    listed = mmrouter("-c", "c.yaml", "keys", "list", "--json", cwd=tmp_path)
    assert [(r["name"], r["hash"]) for r in json.loads(listed.out)] == [("ci", hash_key(key))]
    assert [r["scope"] for r in json.loads(listed.out)] == ["client"]
    assert mmrouter("-c", "c.yaml", "keys", "create", "boss", "--admin", cwd=tmp_path).code == 0
    shown = mmrouter("-c", "c.yaml", "keys", "list", cwd=tmp_path).out.splitlines()
    assert [line.split()[:2] for line in shown] == [["boss", "admin"], ["ci", "client"]]
    assert mmrouter("-c", "c.yaml", "keys", "revoke", "boss", cwd=tmp_path).code == 0
    assert key not in (tmp_path / "c.yaml").read_text()
    again = mmrouter("-c", "c.yaml", "keys", "create", "ci", cwd=tmp_path)
    assert (again.code, again.out) == (1, "")
    assert mmrouter("-c", "c.yaml", "keys", "revoke", "ci", cwd=tmp_path).code == 0
    assert "No keys" in mmrouter("-c", "c.yaml", "keys", "list", cwd=tmp_path).out
    assert mmrouter("keys", "create", "ci", cwd=tmp_path).code == 1  # a preset is no file
    (tmp_path / "c.yaml").write_text("routes: [")
    broken = mmrouter("-c", "c.yaml", "keys", "create", "ci", cwd=tmp_path)
    assert broken.code == 1
    assert broken.err.startswith("Error: c.yaml:")
