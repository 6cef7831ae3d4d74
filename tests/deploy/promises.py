"""What the server promises, for comparison with what deployment files say of it."""

from __future__ import annotations

import attrs

from fasttalk_stt.settings import Settings

VARIABLES = frozenset(attribute.metadata["variable"] for attribute in attrs.fields(Settings))
DEFAULTS = Settings()

AFTER_DRAIN_S = 15.0
"""What a grace period has beyond DRAIN_TIMEOUT, as docs/deployment.md says: a model call that cannot be
interrupted and the end of the process."""

USER_ID = 10001
