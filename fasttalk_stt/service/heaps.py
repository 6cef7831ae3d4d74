"""How many heaps of the C library the threads of a process share."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

MOST_HEAPS = 2
"""By default glibc makes up to eight for each core. Requests of all lengths leave holes in every one, so
memory grows for an hour. Two threads that decode cuts of speech with tiny.en on two cores held 855 MiB
after five minutes, and more each minute, with the default, 805 to 825 with two heaps; they decoded 2 %
fewer."""

_M_ARENA_MAX = -8
"""Of glibc's malloc.h."""


def share_heaps(environ: Mapping[str, str]) -> bool:
    """Have all threads that begin to allocate from now on share MOST_HEAPS heaps.

    False where the operator's MALLOC_ARENA_MAX says how many, or the C library is not glibc.
    """
    if environ.get("MALLOC_ARENA_MAX"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(_M_ARENA_MAX, MOST_HEAPS))
