"""Which of Whisper's models are smaller than another, by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MILLION_PARAMETERS = (
    ("tiny", 39),
    ("base", 74),
    ("distil-small", 166),
    ("small", 244),
    ("distil-medium", 394),
    ("distil-large", 756),
    ("medium", 769),
    ("turbo", 809),
    ("large", 1550),
)
"""As published with the models; the first that the name holds, between marks, counts."""

_ENGLISH_ONLY = re.compile(r"\.en\b|^distil-(small|medium|large-v[23]$)")


def smaller_models(name: str, installed: Iterable[str]) -> tuple[str, ...]:
    """The smaller of the installed models that know the same languages, the largest first.

    None for a model whose size its name does not tell.
    """
    size = _size(name)
    if size is None:
        return ()
    candidates = {
        other: other_size
        for other in installed
        if (other_size := _size(other)) is not None and other_size < size
    }
    fitting = [other for other in candidates if _is_english(name) or not _is_english(other)]
    return tuple(sorted(fitting, key=lambda other: (-candidates[other], other)))


def _size(name: str) -> int | None:
    """In millions of parameters. Of a path the last part is the name."""
    bare = re.sub(r"[._]", "-", re.split(r"[/\\]", name)[-1])
    return next((size for part, size in _MILLION_PARAMETERS if f"-{part}-" in f"-{bare}-"), None)


def _is_english(name: str) -> bool:
    return _ENGLISH_ONLY.search(name) is not None
