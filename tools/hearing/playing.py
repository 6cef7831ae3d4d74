"""Takes through the pipeline, one at a time, so that hours of audio are never in memory together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from attrs import evolve

from fasttalk_stt.inference.engine import Engine
from tools.hearing.listening import SessionLog, Setup, WrapDetector, listen
from tools.hearing.mixtures import Take

Played = tuple[Take, SessionLog]
"""A take without its samples, and what came of it."""


def play(
    takes: Iterable[Take],
    how: Setup,
    engine: Engine,
    *,
    wrap_detector: WrapDetector | None = None,
) -> list[Played]:
    """Play each take as one session; see `listening.listen`."""
    played: list[Take] = []

    def in_turn() -> Iterator[Take]:
        for take in takes:
            played.append(evolve(take, samples=np.empty(0, dtype=np.float32)))
            yield take

    logs = listen(in_turn(), how, engine, wrap_detector=wrap_detector)
    return list(zip(played, logs, strict=True))
