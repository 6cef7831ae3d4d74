"""The application for plain Hypercorn: `hypercorn --config hypercorn.toml fasttalk_stt.asgi:app`.

Importing this module does the work of a `main`: it installs the guard, reads the environment,
finds the model and configures the log. `fasttalk-stt serve` is the better way to start: there a
dead model ends the server and sessions are drained. Here a dead model turns `/health` to 503 and
refuses connections, and a stop cuts sessions off with close code 1001.
"""

from __future__ import annotations

import os
import sys

from quart_trio import QuartTrio

from fasttalk_stt.engines import make_engine
from fasttalk_stt.inference.errors import EngineError
from fasttalk_stt.server import make_hosted_app
from fasttalk_stt.service.logging import configure_logging
from fasttalk_stt.settings import Settings, SettingsError
from fasttalk_stt.spelling import warn_of_misspelt


def _app_from_environment() -> QuartTrio:
    try:
        settings = Settings.from_environment(os.environ)
        configure_logging(settings)
        warn_of_misspelt(os.environ)
        return make_hosted_app(settings, make_engine(settings))
    except (SettingsError, EngineError) as error:
        sys.exit(f"fasttalk-stt: {error}")


app = _app_from_environment()
