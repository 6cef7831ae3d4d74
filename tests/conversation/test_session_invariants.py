"""What must hold for a session whatever happens in it, in whatever order.

Hypothesis plays client, engine and network: audio, bad frames, commands, interrupts, answers early,
late, empty and failed, sends delayed. The promises of the protocol are checked on what was sent.
"""

from __future__ import annotations

from collections import Counter

import attrs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fasttalk_stt.conversation.segments import NOTHING_HEARD, Failure, Heard, HeardWord
from fasttalk_stt.protocol.client_messages import ContextUpdate
from fasttalk_stt.protocol.server_messages import (
    EagerRetracted,
    EagerTranscription,
    PartialTranscription,
    SessionEnded,
    SpeechEnded,
    Transcription,
    VoiceActivityDetected,
    VoiceActivityRejected,
)
from tests.conversation.driver import FAILURE, Driver, words_in
from tests.support import silence, sound

STEPS = st.one_of(
    st.tuples(st.just("speak"), st.floats(0.02, 4.0)),
    st.tuples(st.just("pause"), st.floats(0.02, 1.5)),
    st.tuples(st.just("bad_frame"), st.integers(1, 8_000)),
    st.tuples(st.just("flush"), st.none()),
    st.tuples(st.just("interrupt"), st.sampled_from(["pending", "all"])),
    st.tuples(st.just("configure"), st.sampled_from([0.5, 2.0, 20.0])),
    st.tuples(st.just("context"), st.sampled_from(["listening", "processing", "responding"])),
    st.tuples(st.just("barge_in"), st.sampled_from(["processing", "responding"])),
    st.tuples(st.just("eager"), st.booleans()),
    st.tuples(st.just("stall"), st.none()),
    st.tuples(st.just("answer"), st.tuples(st.integers(0, 9), st.sampled_from("wnfbd"))),
    st.tuples(st.just("speculate"), st.sampled_from("wwnfbd")),
    st.tuples(st.just("look"), st.sampled_from("wnfd")),
    st.tuples(st.just("judge"), st.floats(0.0, 1.0)),
    st.tuples(st.just("send"), st.one_of(st.none(), st.integers(1, 3))),
)
CONFIGS = st.fixed_dictionaries(
    {
        "fasttalk_mode": st.booleans(),
        "interim_results": st.booleans(),
        "eager_results": st.booleans(),
        "enable_vad": st.booleans(),
        "buffer_duration": st.sampled_from([0.5, 2.0]),
        "sample_rate": st.sampled_from([16_000, 8_000, 44_100]),
        "endpoint_silence_ms": st.sampled_from([100, 500, 5000]),
        "endpointer": st.sampled_from(["silence", "adaptive", "smart"]),
    }
)


def outcome(kind: str, start: int, end: int) -> Heard | Failure:
    yeah = Heard((HeardWord(" Yeah.", start, end, 0.9),), language="en")
    words = words_in(start, end)
    figures = attrs.evolve(
        words,
        words=tuple(attrs.evolve(w, text=f" {w.start // 6_400 * 7 % 10}") for w in words.words),
    )
    return {"w": words, "n": NOTHING_HEARD, "f": FAILURE, "b": yeah, "d": figures}[kind]


def act(driver: Driver, step: str, value: object) -> None:  # noqa: PLR0912 - one case a step
    session, rate_hz = driver.session, driver.session.config.sample_rate
    match step, value:
        case "speak", float(seconds):
            driver.hear(sound(seconds, rate_hz=rate_hz))
        case "pause", float(seconds):
            driver.hear(silence(seconds, rate_hz=rate_hz))
        case "bad_frame", int(n_samples):
            driver.hear_raw(np.full(n_samples, np.nan, dtype="<f4").tobytes() + b"\0")
        case "flush", None:
            driver.do(session.flush(driver.now_s))
        case "interrupt", scope:
            driver.do(session.interrupt(scope, driver.now_s))
            driver.wanted = [entry for entry in driver.wanted if not entry.cancelled]
        case "configure", seconds:
            driver.do(session.configure({"buffer_duration": seconds}))
        case "barge_in", state:
            driver.hear(
                np.concatenate([sound(0.4, rate_hz=rate_hz), silence(0.6, rate_hz=rate_hz)])
            )
            driver.do(session.update_context(ContextUpdate(conversation_state=state)))
            driver.hear(
                np.concatenate([sound(0.4, rate_hz=rate_hz), silence(0.6, rate_hz=rate_hz)])
            )
        case "eager", bool(wanted):
            driver.do(session.configure({"eager_results": wanted}))
        case "context", state:
            driver.do(session.update_context(ContextUpdate(conversation_state=state)))
        case "stall", None:
            driver.do(session.stall(driver.now_s))
        case "answer", (int(which), str(kind)):
            if driver.wanted:
                entry = driver.wanted[which % len(driver.wanted)]
                driver.resolve(entry, outcome(kind, entry.segment.start, entry.segment.end))
        case "speculate", str(kind):
            if driver.speculations:
                segment = driver.speculations[-1].segment
                heard = outcome(kind, segment.start, segment.end)
                driver.speculate(heard if isinstance(heard, Heard) else None, failed=kind == "f")
        case "look", str(kind):
            if driver.drafts:
                draft = driver.drafts[0]
                heard = outcome(kind, draft.start, draft.edge)
                driver.look(heard if isinstance(heard, Heard) else None, failed=kind == "f")
        case "judge", float(probability):
            if driver.speculations:
                session.answers.judge_turn(driver.speculations[-1], probability)
        case "send", most:
            driver.send_ready(most)
        case _:
            raise AssertionError(f"unknown step {step}")


def check(driver: Driver, n_flushes: int) -> None:
    ended = driver.messages[-1]
    assert isinstance(ended, SessionEnded)
    spoken_ms = sum(final.data.audio_duration_ms for final in driver.finals if final.data.text)
    murmured = any(
        m.data.reason == "backchannel"
        for m in driver.messages
        if isinstance(m, VoiceActivityRejected)
    )
    if not driver.errors and not murmured:
        assert abs(ended.audio.transcribed_ms - spoken_ms) <= len(driver.finals) + 1
    check_account(driver, ended)
    check_stamps(driver)
    check_finals(driver)
    check_onsets(driver)
    check_partials(driver)
    check_eager(driver)
    answers = sum(final.data.metadata.reason == "flush" for final in driver.finals)
    # The answer of a flush is its text, or the error where its transcription failed.
    assert n_flushes - driver.n_failed_flushes <= answers <= n_flushes
    assert answers + len(driver.of_type("error")) >= n_flushes


def check_account(driver: Driver, ended: SessionEnded) -> None:
    audio = ended.audio
    assert audio.unsettled_ms == 0
    assert (
        audio.received_ms
        == audio.transcribed_ms + audio.silence_ms + audio.discarded_ms
        == int(driver.session.intake.received_s * 1000 + 1e-6)
    )
    assert ended.segments == len(driver.finals)


def check_stamps(driver: Driver) -> None:
    stamps = [metadata for _, metadata in driver.sent]
    assert [stamp.seq for stamp in stamps] == list(range(1, len(stamps) + 1))
    committed = [stamp.audio_committed_ms or 0 for stamp in stamps]
    assert committed == sorted(committed)
    # What is committed at a message has its outcome in it or before: no later final reaches back.
    first_later_start = 10**9
    for message, stamp in reversed(driver.sent):
        # (A rejected frame inside a segment is settled at once, so it may be ahead of it.)
        if not driver.errors:
            assert (stamp.audio_committed_ms or 0) <= first_later_start + 1
        if message.type == "transcription" and message.data.audio_duration_ms:
            first_later_start = message.data.metadata.audio_start_ms


def check_finals(driver: Driver) -> None:
    end_ms = 0
    for final in driver.finals:
        data = final.data
        start_ms = data.metadata.audio_start_ms
        if data.text:
            assert start_ms >= end_ms
            end_ms = start_ms + data.audio_duration_ms
        else:
            assert data.metadata.reason == "flush"
        assert [t.word for t in data.timestamps or ()] == data.text.split()
        previous_ms = start_ms
        for time in data.timestamps or ():
            assert previous_ms <= time.start_ms < time.end_ms <= end_ms
            previous_ms = time.start_ms
        assert data.processing_time_ms >= 0
        assert data.metadata.latency_ms >= 0
    published = {
        (f.data.utterance, f.data.metadata.audio_start_ms) for f in driver.finals if f.data.text
    }
    for entry in driver.cancelled:
        at_ms = driver.session._timeline.to_ms(
            driver.session._timeline.to_session(entry.segment.start)
        )
        if entry.segment.end > entry.segment.start:
            assert (entry.segment.utterance, at_ms) not in published


def check_onsets(driver: Driver) -> None:
    onsets = [m.data.utterance for m in driver.messages if isinstance(m, VoiceActivityDetected)]
    rejected = Counter(
        m.data.utterance for m in driver.messages if isinstance(m, VoiceActivityRejected)
    )
    with_text = {f.data.utterance for f in driver.finals if f.data.text}
    assert onsets == sorted(set(onsets))
    if driver.session.config.fasttalk_mode and driver.session.config.enable_vad:
        ended_early = {f.data.utterance for f in driver.finals} - set(onsets)
        reasons = {f.data.metadata.reason for f in driver.finals if f.data.utterance in ended_early}
        # Only an empty flush before any speech has no onset.
        assert reasons <= {"flush"}
        assert not ended_early & with_text
    for utterance in onsets:
        assert (utterance in with_text) != (rejected[utterance] == 1)
    assert set(rejected) <= set(onsets)
    ends = [m.data.utterance for m in driver.messages if isinstance(m, SpeechEnded)]
    assert ends == sorted(set(ends))
    assert not set(ends) & set(rejected)


def check_partials(driver: Driver) -> None:
    stable: dict[int, str] = {}
    for message in driver.messages:
        if isinstance(message, PartialTranscription):
            data = message.data
            assert data.text.startswith(data.stable_text)
            assert data.text.startswith(stable.get(data.utterance, ""))
            stable[data.utterance] = data.stable_text


def check_eager(driver: Driver) -> None:
    """Text shown eagerly comes again as it was, or is taken back; both exactly once."""
    shown: EagerTranscription | None = None
    for message in driver.messages:
        match message:
            case EagerTranscription():
                assert shown is None
                shown = message
            case EagerRetracted(data=data):
                assert shown is not None
                assert data.utterance == shown.data.utterance
                shown = None
            case Transcription(data=data) if shown is not None:
                assert (data.utterance, data.text) == (shown.data.utterance, shown.data.text)
                shown = None
    assert shown is None


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(CONFIGS, st.lists(STEPS, max_size=25))
def test_promises_hold_under_any_interleaving(
    config: dict[str, object], steps: list[tuple[str, object]]
) -> None:
    driver = Driver(**config)
    for step, value in steps:
        act(driver, step, value)
    driver.end()
    check(driver, sum(step == "flush" for step, _ in steps))
    assert driver.session.requests_outstanding == 0
    assert len(driver.session._queue) == 0
    assert not driver.session._barge_in._over_the_bot
    assert not driver.session._onsets._unanswered
    assert not driver.session._onsets._texts


@pytest.mark.parametrize("seconds", [30.0])
def test_a_speaker_who_never_pauses_meets_an_engine_that_never_works(seconds: float) -> None:
    """Open audio stays within the engine's window; all of it is accounted for."""
    driver = Driver()
    for _ in range(int(seconds)):
        driver.hear(sound(1.0))
        while driver.drafts:
            driver.look(failed=True)
    driver.end()
    spans = [entry.segment.end - entry.segment.start for entry in driver.cancelled]
    assert max([f.data.audio_duration_ms for f in driver.finals] + spans) <= 28_000
    check(driver, 0)
