"""How often a request is decoded, with how much context, and which of the answers is kept.

Pure. The first attempt is the cheapest that is mostly right; what `doubts` says against its answer
decides whether a dearer one follows. `whisperx_backend` carries it out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from attrs import evolve, frozen

from fasttalk_stt.inference.decoding import FRAMES_PER_S, FULL_CONTEXT_FRAMES, DecodingOptions
from fasttalk_stt.inference.doubts import Doubt
from fasttalk_stt.inference.engine import DecodeRequest
from fasttalk_stt.inference.loops import COMPRESSION_RATIO_LIMIT, compression_ratio

SHORT_S = 8.0
"""What is new in a request up to here is asked for with little context and a narrow search. Longer
requests are drafts of open speech or come after long waits; there the words count more."""


@frozen
class Attempt:
    """One way to ask for a request.

    `margin_s` is how much silence the encoder is given behind the speech (None: the full 30 s): its
    time grows with its context. `is_tight` bounds the answer by what is likely, not by what is
    possible; an answer that reaches the bound is doubted.
    """

    margin_s: float | None
    options: DecodingOptions
    is_tight: bool = False

    def context_frames(self, n_frames: int) -> int:
        """How much context the encoder is given for so much audio, in whole seconds."""
        if self.margin_s is None:
            return FULL_CONTEXT_FRAMES
        wanted = (n_frames + self.margin_s * FRAMES_PER_S) / FRAMES_PER_S
        return min(math.ceil(wanted) * FRAMES_PER_S, FULL_CONTEXT_FRAMES)


@frozen
class Ladder:
    """The attempts of one engine, from the cheapest to the surest.

    `sampled` is for loops that even the full context does not end.
    """

    close: Attempt
    near: Attempt
    full: Attempt
    sampled: Attempt

    def first(self, requests: Sequence[DecodeRequest], *, language_is_told: bool) -> Attempt:
        """Where a batch begins: one attempt for all, at the context the most demanding needs."""
        if any(request.vocabulary for request in requests):
            # Seen with base: with less context it no longer heeds the names it is given.
            return self.full
        if not language_is_told or max(request.new_s for request in requests) > SHORT_S:
            return self.near
        return self.close

    def after(self, attempt: Attempt, doubt: Doubt) -> Attempt | None:
        """What to try when an attempt left a doubt; None: keep what there is.

        A loop climbs to the end. Everything else gets one more attempt: whoever speaks indistinctly
        is not understood better at the third.
        """
        if doubt is Doubt.LOOP:
            following = {self.close: self.near, self.near: self.full, self.full: self.sampled}
            return following.get(attempt)
        return {self.close: self.near, self.near: self.full}.get(attempt)
