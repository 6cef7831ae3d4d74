"""How many heaps of the C library the threads of a process share."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

MOST_HEAPS = 2
"""By default glibc makes up to eight for each core, and requests of all lengths leave holes in every one. A
server with eight speakers and tiny.en on two cores still grew by 5 MiB in five minutes after half an hour
with the default; with two heaps it stayed at 985 MiB from the 14th minute on. Decoding costs 2 % more."""

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
