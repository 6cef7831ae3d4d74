from __future__ import annotations

import io
import json
import logging
import logging.config
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from fasttalk_stt.service.logging import (
    FORMER_FILES,
    LINES_WAITING,
    BackgroundHandler,
    configure_logging,
)
from fasttalk_stt.settings import Settings, SettingsError


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            assert isinstance(handler, BackgroundHandler)
            handler.finish()
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def written() -> None:
    for handler in logging.getLogger().handlers:
        handler.flush()


def _fail_with_a_secret() -> None:
    secret = "words" + "-somebody-said"
    raise RuntimeError(len(secret))


def test_both_kinds_of_logger_write_one_json_object_a_line() -> None:
    stream = io.StringIO()
    configure_logging(Settings(log_format="json"), stream=stream)
    with structlog.contextvars.bound_contextvars(trace_id="abc"):
        structlog.get_logger("ours").info("hello", size=3)
        logging.getLogger("theirs").warning("count %d", 4)
    written()
    ours, theirs = map(json.loads, stream.getvalue().splitlines())
    assert (ours["event"], ours["size"], ours["logger"]) == ("hello", 3, "ours")
    assert (theirs["event"], theirs["level"]) == ("count 4", "warning")
    assert ours["trace_id"] == theirs["trace_id"] == "abc"


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_tracebacks_show_no_local_variables(log_format: str) -> None:
    stream = io.StringIO()
    configure_logging(Settings(log_format=log_format), stream=stream)
    try:
        _fail_with_a_secret()
    except RuntimeError:
        structlog.get_logger("ours").exception("failed")
    written()
    assert "_fail_with_a_secret" in stream.getvalue()
    assert "words-somebody-said" not in stream.getvalue()


def test_auto_is_json_where_nobody_looks() -> None:
    stream = io.StringIO()
    configure_logging(Settings(), stream=stream)
    structlog.get_logger("ours").info("hello")
    written()
    assert json.loads(stream.getvalue())["event"] == "hello"


def test_levels_below_the_one_asked_for_are_not_written() -> None:
    stream = io.StringIO()
    configure_logging(Settings(log_format="json", log_level="warning"), stream=stream)
    structlog.get_logger("ours").info("hello")
    structlog.get_logger("ours").warning("careful")
    written()
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["careful"]


def test_the_log_survives_a_library_that_configures_its_own(tmp_path: Path) -> None:
    stream = io.StringIO()
    file = tmp_path / "stt.log"
    configure_logging(Settings(log_format="json", log_file=file), stream=stream)
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
    logging.getLogger().setLevel(logging.INFO)
    structlog.get_logger("ours").info("still here")
    written()
    assert "still here" in stream.getvalue()
    assert "still here" in file.read_text()


def test_a_file_gets_json_beside_the_console_and_is_rotated(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "stt.log"
    stream = io.StringIO()
    configure_logging(
        Settings(log_format="console", log_file=file, log_file_max_mb=1), stream=stream
    )
    for number in range(80):
        structlog.get_logger("ours").info("hello", number=number, filling=100_000 * "x")
    written()
    files = sorted(path.name for path in file.parent.iterdir())
    assert files == ["stt.log", *(f"stt.log.{n}" for n in range(1, FORMER_FILES + 1))]
    last = json.loads(file.read_text().splitlines()[-1])
    assert last["number"] == 79
    assert all(path.stat().st_size <= 1_000_000 for path in file.parent.iterdir())
    assert "hello" in stream.getvalue()


def test_a_file_that_cannot_be_written_is_one_line_for_the_operator(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(SettingsError, match="LOG_FILE="):
        configure_logging(Settings(log_file=tmp_path / "taken" / "stt.log"))


class Stuck(io.StringIO):
    """A pipe that nobody reads, until somebody does."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = threading.Event()

    def write(self, text: str) -> int:
        self.reads.wait(10)
        return super().write(text)


def test_whoever_logs_never_waits_for_the_destination_and_what_is_dropped_is_told() -> None:
    stream = Stuck()
    configure_logging(Settings(log_format="json"), stream=stream)
    log = structlog.get_logger("ours")
    for number in range(LINES_WAITING + 50):
        log.info("hello", number=number)
    stream.reads.set()
    written()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    dropped = [line for line in lines if line["event"] == "log_lines_dropped"]
    assert sum(line["count"] for line in dropped) == LINES_WAITING + 50 - (
        len(lines) - len(dropped)
    )
    assert 48 <= dropped[0]["count"] <= 50
