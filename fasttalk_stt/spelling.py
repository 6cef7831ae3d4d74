"""Names of variables that look like a setting's and are none: most often a slip of the pen."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

import structlog

from fasttalk_stt.settings import Settings

_logger = structlog.stdlib.get_logger(__name__)

LIKENESS = 0.84
"""Of two names, as `difflib` has it from 0 to 1: "API_KEY" is 0.93 like "API_KEYS", "MODEL_CACHE_DIR" 0.85
like "MODEL_CACHE", the system's own "LANG" 0.67 like "LANGUAGE"."""


def misspelt(names: Iterable[str]) -> dict[str, str]:
    """Those of the names that no setting has, each with the setting that was probably meant."""
    known = Settings.variables()
    found = {}
    for name in sorted(set(names) - set(known)):
        meant = get_close_matches(name.upper(), known, n=1, cutoff=LIKENESS)
        if meant:
            found[name] = meant[0]
    return found


def warn_of_misspelt(names: Iterable[str]) -> None:
    """Log a warning for each of `misspelt`."""
    for name, meant in misspelt(names).items():
        _logger.warning("setting_unknown", variable=name, did_you_mean=meant)
