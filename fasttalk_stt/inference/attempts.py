"""How often a request is decoded, with how much context, and which of the answers is kept.

Pure. The first attempt is the cheapest that is mostly right; what `doubts` says against its answer
decides whether a dearer one follows. `whisperx_backend` carries it out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from attrs import evolve, frozen

from fasttalk_stt.inference.decoding import (
    FRAMES_PER_S,
    FULL_CONTEXT_FRAMES,
    DecodingOptions,
)
from fasttalk_stt.inference.doubts import Doubt
from fasttalk_stt.inference.engine import DecodeRequest

AudioContext = Literal["auto", "full"]
"""How much silence the encoder is given behind the speech: a measured margin, or up to 30 s."""

FULL_CONTEXT_S = FULL_CONTEXT_FRAMES / FRAMES_PER_S

SHORT_S = 8.0
"""What is new in a request up to here is asked for with little context and a narrow search. Longer
requests are drafts of open speech or come after long waits; there the words count more."""

CLOSE_MARGIN_S = 3.0
CLOSE_SHORTEST_S = 9.0
CLOSE_BEAM = 3
"""With little context the decoder says a sentence twice, or a phrase of it for ever, and it is the whole
context that counts, not the margin: of 120 short clips tiny.en did so in 12 with 4 s behind the speech
and 8 s at least, in 6 with 5 and 9 s, and in 5 with 4 and 10 s. Of 137 recordings that were streamed with an
`endpoint_silence_ms` of 200, 11.7 % of words were wrong with a margin of 5 s, 11.3 % with 3 s. Asked again
where there is a doubt, as few words are wrong as with the full context (8.3 and 8.2 %). Less patience of the
beam is quicker still, but then one answer in five lacks its full stop, by which ends of turns are judged;
greedy search loops and is hardly quicker on one thread."""

NEAR_MARGIN_S = 8.0
NEAR_SHORTEST_S = 15.0
"""With 8 s of margin alone 6 of 154 short clips are still said twice, all shorter than 3.5 s."""

WIDE_BEAM = 5
"""For requests beyond 8 s and attempts with more context. With the full context, beam 5 without time
stamps has the lowest word error rate (33 files, tiny.en / base: 9.4 / 13.3 %, greedy 13.8 / 14.5 %,
with time stamps 15.0 / 18.0 %: they end at long pauses) and costs 20 % more time than greedy."""

SAMPLING_TEMPERATURE = 0.4
"""A guess, not measured: half way up Whisper's own ladder, in one step because each costs a decode."""


@frozen
class Attempt:
    """One way to ask for a request.

    `margin_s` is how much silence the encoder is given behind the speech, `shortest_s` how much
    context it is given at least; its time grows with that. `is_tight` bounds the answer by what is
    likely, not by what is possible; an answer that reaches the bound is doubted.
    """

    margin_s: float
    shortest_s: float
    options: DecodingOptions
    is_tight: bool = False

    def context_frames(self, n_frames: int) -> int:
        """How much context the encoder is given for so much audio, in whole seconds."""
        wanted_s = max(n_frames / FRAMES_PER_S + self.margin_s, self.shortest_s)
        return min(math.ceil(wanted_s) * FRAMES_PER_S, FULL_CONTEXT_FRAMES)

    def sees_as_much_as(self, other: Attempt) -> bool:
        """Whether both give the encoder the same context."""
        return (self.margin_s, self.shortest_s) == (other.margin_s, other.shortest_s)


@frozen
class Ladder:
    """The attempts of one engine, from the cheapest to the surest.

    `stamped` looks again, with time stamps, at what the encoder made for `close`. `sampled` is for loops
    that even the full context does not end.
    """

    close: Attempt
    stamped: Attempt
    near: Attempt
    full: Attempt
    sampled: Attempt

    @property
    def little_context(self) -> tuple[Attempt, ...]:
        """Those whose answers say things twice that were said once."""
        return self.close, self.stamped

    def first(self, requests: Sequence[DecodeRequest], *, language_is_told: bool) -> Attempt:
        """Where a batch begins: one attempt for all, at the context the most demanding needs."""
        if any(request.vocabulary for request in requests):
            # Seen with base: with less context it no longer heeds the names it is given.
            return self.full
        if not language_is_told or max(request.new_s for request in requests) > SHORT_S:
            return self.near
        return self.close

    def after(
        self, attempt: Attempt, doubt: Doubt, request: DecodeRequest, *, is_spent: bool
    ) -> Attempt | None:
        """What to try when an attempt left a doubt; None: keep what there is.

        `is_spent` says that it was asked again already, and not because of a loop.

        Time stamps settle most doubts about short requests: with them the decoder knows where it is,
        and stops at the end. Of 400 requests of utterances with `endpoint_silence_ms` 200, 14 left a
        doubt (tiny.en, a margin of 5 s); 11 were settled so, for 40 ms each, and with the right words;
        15 s of context settled 9, for 190 ms. Behind a prefix they are no good: there the answer often
        is empty.

        A loop climbs to the end. Everything else gets one more attempt, and what time stamps did not
        settle a third, unless it is only unlikely: whoever speaks indistinctly is not understood better
        then. With 15 s of context that third leaves as few words wrong as with all 30 s, of 1,244 s of
        continuous speech, in a quarter of the time. An answer that stops short behind a prefix is asked with
        the full context too where it still does with 15 s, as base may ("Complexity" for "Complexity of
        complete marketing planning"). An echo is asked without its prefix, which makes it another request.
        """
        if attempt is self.near and doubt is Doubt.STOPS_SHORT and request.prefix_text:
            return self.full
        is_last = doubt is Doubt.UNLIKELY if attempt is self.stamped else is_spent
        if attempt is self.sampled or (is_last and doubt is not Doubt.LOOP):
            return None
        if attempt is self.full:
            return {Doubt.LOOP: self.sampled, Doubt.ECHO: self.full}.get(doubt)
        if attempt is self.close:
            return self.near if request.prefix_text else self.stamped
        if attempt is self.stamped and doubt is not Doubt.LOOP:
            return self.near
        return self.full


def make_ladder(
    *,
    beam_size: int | None = None,
    audio_context: AudioContext = "auto",
) -> Ladder:
    """The attempts that were measured to be the best; `beam_size` overrides all their beams.

    With an `audio_context` of "full" each gives the encoder all of its 30 s, as Whisper was trained:
    for models and languages with which less was not measured.
    """
    wide = DecodingOptions(beam_size=beam_size or WIDE_BEAM)
    narrow = evolve(wide, beam_size=beam_size or CLOSE_BEAM)
    sampling = evolve(wide, temperature=SAMPLING_TEMPERATURE)
    close = Attempt(CLOSE_MARGIN_S, CLOSE_SHORTEST_S, narrow, is_tight=True)
    near = Attempt(NEAR_MARGIN_S, NEAR_SHORTEST_S, wide)
    if audio_context == "full":
        close, near = (
            evolve(attempt, margin_s=FULL_CONTEXT_S, shortest_s=FULL_CONTEXT_S)
            for attempt in (close, near)
        )
    return Ladder(
        close=close,
        stamped=evolve(close, options=evolve(narrow, with_timestamps=True)),
        near=near,
        full=Attempt(FULL_CONTEXT_S, FULL_CONTEXT_S, wide),
        sampled=Attempt(FULL_CONTEXT_S, FULL_CONTEXT_S, sampling),
    )
