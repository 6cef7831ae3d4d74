from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from fasttalk_stt.service.logging import configure_logging


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def _fail_with_a_secret() -> None:
    secret = "words" + "-somebody-said"
    raise RuntimeError(len(secret))


def test_both_kinds_of_logger_write_one_json_object_a_line() -> None:
    stream = io.StringIO()
    configure_logging("json", stream=stream)
    structlog.get_logger("ours").info("hello", size=3)
    logging.getLogger("theirs").warning("count %d", 4)
    ours, theirs = map(json.loads, stream.getvalue().splitlines())
    assert (ours["event"], ours["size"], ours["logger"]) == ("hello", 3, "ours")
    assert (theirs["event"], theirs["level"]) == ("count 4", "warning")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_tracebacks_show_no_local_variables(log_format: str) -> None:
    stream = io.StringIO()
    configure_logging(log_format, stream=stream)
    try:
        _fail_with_a_secret()
    except RuntimeError:
        structlog.get_logger("ours").exception("failed")
    assert "_fail_with_a_secret" in stream.getvalue()
    assert "words-somebody-said" not in stream.getvalue()


def test_auto_is_json_where_nobody_looks() -> None:
    stream = io.StringIO()
    configure_logging("auto", stream=stream)
    structlog.get_logger("ours").info("hello")
    assert json.loads(stream.getvalue())["event"] == "hello"
