"""Forced alignment: the likeliest way through a CTC model's answer that says given tokens in order.

Pure. The lattice is the one CTC is trained with (Graves et al. 2006): before, between and behind the tokens
there may be blanks, and a token repeated needs one in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from attrs import frozen

_IMPOSSIBLE = np.float32(-1e30)


@frozen
class Span:
    """A token's frames [start, end), at least one; `score` is their mean log probability."""

    start: int
    end: int
    score: float


def force_align(
    log_probs: npt.NDArray[np.float32], tokens: Sequence[int], blank: int
) -> list[Span] | None:
    """Where each token lies in float32[n_frames, n_symbols]; None where they do not fit.

    Takes time in proportion to frames; memory for a byte each of frames times tokens.
    """
    n_frames = len(log_probs)
    repeats = sum(1 for a, b in pairwise(tokens) if a == b)
    if not tokens or n_frames < len(tokens) + repeats:
        return None
    # States: blank, token, blank, token, ... blank.
    states = np.full(2 * len(tokens) + 1, blank, dtype=np.int64)
    states[1::2] = tokens
    emitted = log_probs[:, states]
    may_skip = np.zeros(len(states), dtype=bool)
    may_skip[3::2] = states[3::2] != states[1:-2:2]
    best = np.full(len(states), _IMPOSSIBLE, dtype=np.float32)
    best[:2] = emitted[0, :2]
    steps = np.zeros((n_frames, len(states)), dtype=np.int8)
    for frame in range(1, n_frames):
        stay = best
        move = np.concatenate(([_IMPOSSIBLE], best[:-1]))
        skip = np.where(may_skip, np.concatenate(([_IMPOSSIBLE] * 2, best[:-2])), _IMPOSSIBLE)
        choices = np.stack((stay, move, skip))
        steps[frame] = choices.argmax(axis=0)
        best = choices.max(axis=0) + emitted[frame]
    state = len(states) - 1 if best[-1] >= best[-2] else len(states) - 2
    path = np.empty(n_frames, dtype=np.int64)
    for frame in range(n_frames - 1, -1, -1):
        path[frame] = state
        state -= int(steps[frame, state])
    spans = []
    for index in range(len(tokens)):
        frames = np.flatnonzero(path == 2 * index + 1)
        score = float(emitted[frames, 2 * index + 1].mean())
        spans.append(Span(int(frames[0]), int(frames[-1]) + 1, score))
    return spans
