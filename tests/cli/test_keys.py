from __future__ import annotations

import io
import json
import sys
import tomllib

import pytest

from fasttalk_stt.access.api_keys import KeyRing, digest, read_inline_keys, read_key_file
from fasttalk_stt.cli import main


def stored(out: str) -> tuple[KeyRing, KeyRing]:
    """The two lines to store, read as the server reads them."""
    inline = out.split("For API_KEYS: ")[1].split("\n", maxsplit=1)[0].strip()
    table = out.split("For API_KEYS_FILE:")[1]
    lines = "\n".join(line.strip() for line in table.strip().splitlines())
    assert tomllib.loads(lines)
    return KeyRing(read_inline_keys(inline)), KeyRing(read_key_file(lines))


def test_a_new_key_is_printed_once_with_lines_that_let_it_in(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["keys", "new", "backend.eu-1"]) == 0
    out = capsys.readouterr().out
    key = out.splitlines()[0].rpartition(" ")[2]
    assert key.startswith("ftk_")
    assert out.count(key) == 1
    for ring in stored(out):
        found = ring.find(key)
        assert found is not None
        assert found[1].name == "backend.eu-1"


def test_a_key_is_hashed_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("my own key\n"))
    assert main(["keys", "hash", "backend"]) == 0
    out = capsys.readouterr().out
    assert "my own key" not in out
    assert stored(out)[0].find("my own key") is not None
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert main(["keys", "hash", "backend"]) == 1


@pytest.mark.parametrize("name", ["", "a b", "ftk_looks-like-a-key", "x" * 65])
def test_bad_names(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["keys", "new", name])
    assert caught.value.code == 2
    assert "1-64 letters" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["config"], ["config", "--json"]])
def test_config_masks_secrets(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    inline = f"backend:{digest('key')}"
    for variable, value in (("API_KEYS", inline), ("MONITORING_TOKEN", "operators-only-01234")):
        monkeypatch.setenv(variable, value)
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert digest("key") not in out
    assert "operators-only" not in out
    if "--json" in arguments:
        assert json.loads(out)["API_KEYS"] == {"value": "********", "source": "environment"}
    else:
        assert out.count("********") == 2
