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

SHORT_S = 8.0
"""What is new in a request up to here is asked for with little context and a narrow search. Longer
requests are drafts of open speech or come after long waits; there the words count more."""

CLOSE_MARGIN_S = 4.0
CLOSE_BEAM = 3
CLOSE_WANTED = 2
"""With little silence behind the speech tiny.en says one in ten sentences twice when it waits for
all of a beam of 5 to end, and next to none when it waits for two: over 77 short clips 19.3 % of
words wrong, then 13.4 %, and 10.8 % once the doubted are asked again; 10.8 % at 8 s with the wide
beam, for 30 % more time. A beam of 2 that waits for one ends sentences early, greedy search loops."""

NEAR_MARGIN_S = 8.0
"""Here no file of read English looped with tiny.en or base."""

WIDE_BEAM = 5
"""Over requests beyond 8 s 7.4 % of words wrong, with the narrow search 8.1 % (tiny.en, 34 clips)."""

SAMPLING_TEMPERATURE = 0.4
"""A guess, not measured: half way up Whisper's own ladder, in one step because each costs a decode."""


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
        following = {self.close: self.near, self.near: self.full}
        if doubt is Doubt.LOOP:
            following[self.full] = self.sampled
        elif doubt is Doubt.ECHO:
            # It is asked without its prefix, which makes it another request.
            following[self.full] = self.full
        return following.get(attempt)


def make_ladder(*, beam_size: int | None = None, with_timestamps: bool = False) -> Ladder:
    """The attempts that were measured to be the best; `beam_size` overrides all their beams."""
    wide = DecodingOptions(beam_size=beam_size or WIDE_BEAM, with_timestamps=with_timestamps)
    narrow = evolve(wide, beam_size=beam_size or CLOSE_BEAM, wanted=CLOSE_WANTED)
    return Ladder(
        close=Attempt(CLOSE_MARGIN_S, narrow, is_tight=True),
        near=Attempt(NEAR_MARGIN_S, wide),
        full=Attempt(None, wide),
        sampled=Attempt(None, evolve(wide, temperature=SAMPLING_TEMPERATURE)),
    )
