"""Names of variables that look like a setting's and are none: most often a slip of the pen."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

import structlog

from fasttalk_stt.settings import Settings

_logger = structlog.stdlib.get_logger(__name__)

LIKENESS = 0.9
"""Of two names, as `difflib` has it from 0 to 1: "API_KEY" is 0.93 like "API_KEYS", but "MONITORING_HOST",
which may be somebody else's, 0.87 like "MONITORING_PORT"."""


def misspelt(environ: Mapping[str, str]) -> dict[str, str]:
    """Names of variables that no setting has, each with the setting that was probably meant; one that is
    empty counts as unset."""
    known = Settings.variables()
    used = {name for name, text in environ.items() if text.strip()}
    found = {}
    for name in sorted(used - set(known)):
        meant = get_close_matches(name.upper(), known, n=1, cutoff=LIKENESS)
        if meant:
            found[name] = meant[0]
    return found


def warn_of_misspelt(environ: Mapping[str, str]) -> None:
    """Log a warning for each of `misspelt`."""
    for name, meant in misspelt(environ).items():
        _logger.warning("setting_unknown", variable=name, did_you_mean=meant)
