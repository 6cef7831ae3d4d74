"""`python -m fasttalk_stt`: the same as the `fasttalk-stt` command."""

from __future__ import annotations

import sys

from fasttalk_stt.cli import main

sys.exit(main())
