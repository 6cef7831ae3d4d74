"""Settings of the whole suite."""

from __future__ import annotations

import os

import structlog
from hypothesis import settings

# The unit ring is run at every save, so it looks at few examples; HYPOTHESIS_PROFILE=thorough looks
# at many. No deadline: a machine that is busy otherwise would fail tests by the wall clock.
settings.register_profile("quick", max_examples=40, deadline=None)
settings.register_profile("thorough", max_examples=1_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

# Pretty tracebacks take longer than the tests that log them.
structlog.configure(
    processors=[structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
)
