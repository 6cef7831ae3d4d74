"""Settings of the whole suite."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from tests.watch import Watch

# The unit ring is run at every save, so it looks at few examples; HYPOTHESIS_PROFILE=thorough looks
# at many. No deadline: a machine that is busy otherwise would fail tests by the wall clock.
settings.register_profile("quick", max_examples=40, deadline=None)
settings.register_profile("thorough", max_examples=1_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

# Pretty tracebacks take longer than the tests that log them.
structlog.configure(
    processors=[structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
)


@pytest.fixture(autouse=True)
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Hold every message of the test against the published document, whatever the test is about."""
    watch = Watch(monkeypatch)
    watch.connections()
    yield watch
    watch.tell()
