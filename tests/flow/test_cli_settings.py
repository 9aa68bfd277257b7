"""`mailweir settings`: what is in force, and no secret."""

from __future__ import annotations

import subprocess
import sys

import orjson
import pytest
from command import mailweir

from mailweir.services.settings import Settings

_SECRET = "correct horse battery"
_SAYS = """
from mailweir.services.cli.environment import client_settings
from mailweir.services.telemetry import logger
client_settings()
logger("test").info("said", mails=3)
"""


def _line(monkeypatch: pytest.MonkeyPatch, log_format: str) -> str:
    """What a command logs under that setting."""
    monkeypatch.setenv("MAILWEIR_LOG_LEVEL", "info")
    monkeypatch.setenv("MAILWEIR_LOG_FORMAT", log_format)
    done = subprocess.run([sys.executable, "-c", _SAYS], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    return line


def _json(**environment: str) -> dict[str, dict[str, object]]:
    done = mailweir("settings", "--json", **environment)
    assert done.code == 0, done.err
    return {row["name"]: row for row in map(orjson.loads, done.out.splitlines())}


def test_every_setting_is_listed_with_its_help() -> None:
    """For scripts, with the name of its variable and whether it was set."""
    rows = _json(batch_mails="7")
    assert list(rows) == list(Settings.model_fields)
    assert all(row["help"] for row in rows.values())
    assert (rows["batch_mails"]["value"], rows["batch_mails"]["default"], rows["batch_mails"]["set"]) == (7, 64, True)
    assert rows["batch_tokens"]["set"] is False
    assert rows["batch_mails"]["variable"] == "MAILWEIR_BATCH_MAILS"


def test_a_secret_is_stars_and_says_whether_it_is_set() -> None:
    """Neither form prints the password."""
    assert _json()["kafka_password"]["value"] == ""
    row = _json(kafka_password=_SECRET)["kafka_password"]
    assert set(str(row["value"])) == {"*"}
    table = mailweir("settings", kafka_password=_SECRET).out
    [line] = [line for line in table.splitlines() if "KAFKA_PASSWORD" in line]
    assert "****" in line
    assert _SECRET not in table


def test_a_value_that_cannot_work_is_named() -> None:
    """One line with the variable, exit code 2."""
    done = mailweir("settings", batch_mails="0")
    assert done.code == 2
    assert done.err.startswith("mailweir: MAILWEIR_BATCH_MAILS: ")
    assert len(done.err.splitlines()) == 1


def test_a_misspelt_variable_is_refused_with_the_nearest() -> None:
    """A setting that is ignored in silence would be worse."""
    done = mailweir("settings", batch_mial="5")
    assert (done.code, "did you mean MAILWEIR_BATCH_MAILS?" in done.err) == (2, True)


def test_log_lines_are_json_or_for_reading_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """`log_format` decides: an object with its fields, or text with the same in it."""
    line = orjson.loads(_line(monkeypatch, "json"))
    assert (line["event"], line["mails"], line["level"], line["logger"]) == ("said", 3, "info", "test")
    text = _line(monkeypatch, "console")
    assert not text.startswith("{")
    assert "said" in text
    assert "mails=3" in text


def test_a_log_format_that_is_none_is_refused() -> None:
    """The message names both."""
    done = mailweir("settings", log_format="xml")
    assert done.code == 2
    assert "MAILWEIR_LOG_FORMAT" in done.err
    assert "'json' or 'console'" in done.err
