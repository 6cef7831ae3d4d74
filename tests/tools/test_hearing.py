"""The pure parts of the hearing evaluation: levels, mixtures, labels, intervals, curves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.inference.engine import DecodedWord, DecodeRequest, Hypothesis
from fasttalk_stt.inference.fake import FakeEngine
from tests.support import LevelDetector
from tools.hearing.audio import (
    active_level_dbfs,
    faded,
    level_dbfs,
    repeated,
    room_tone,
    rotated,
    with_gain,
)
from tools.hearing.endpoints import (
    Operation,
    Passage,
    PassageScore,
    Pause,
    find_pauses,
    reduction,
    report,
    score,
    share_at,
)
from tools.hearing.engines import DecodeMemory, request_key
from tools.hearing.labels import Onset, badly_answered, judge_speech, onsets_of
from tools.hearing.listening import SessionLog, TimedMessage
from tools.hearing.mixtures import (
    Source,
    at_snr,
    clean_takes,
    group_of,
    leak_alone,
    leak_under_speech,
    noise_takes,
    speech_in_noise,
)
from tools.hearing.statistics import bootstrap, interpolated, percentiles, poisson_interval
from tools.hearing.ttfs import Placed, Utterance, join, samples_in
from tools.hearing.words import Spoken, compare, edge_errors, noise_report, write_noise
from tools.scoring import CorpusEntry

RATE_HZ = 16_000
RNG = np.random.default_rng(0)
HISS = RNG.normal(0.0, 0.01, 5 * RATE_HZ).astype(np.float32)


def tone(seconds: float, amplitude: float = 0.1) -> np.ndarray:
    phase = 2 * np.pi * 300 * np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (amplitude * np.sin(phase)).astype(np.float32)


def a_source(name: str, samples: np.ndarray, **fields: object) -> Source:
    entry = CorpusEntry(
        id=name,
        path=Path(name),
        seconds=len(samples) / RATE_HZ,
        kind=str(fields.pop("kind", "speech")),
        lang="en",
        text="one two",
        fields=fields,
    )
    return Source(entry, samples)


def a_speaker(name: str = "speaker") -> Source:
    samples = np.concatenate((HISS[:1600] * 0.01, tone(1.0), np.zeros(8000, np.float32), tone(0.5)))
    words = [
        {"word": "one", "start_ms": 100, "end_ms": 1100},
        {"word": "two", "start_ms": 1600, "end_ms": 2100},
    ]
    return a_source(name, samples.astype(np.float32), words=words, word_times="hand-verified")


def a_noise(name: str = "rain", label: str = "rain") -> Source:
    return a_source(name, HISS, kind="noise", label=label)


# Levels


def test_level_of_a_tone_is_its_rms() -> None:
    assert level_dbfs(tone(1.0, 1.0)) == pytest.approx(-3.01, abs=0.01)
    assert level_dbfs(np.zeros(100, np.float32)) == -120


def test_active_level_leaves_pauses_out() -> None:
    speech = np.concatenate((tone(1.0), np.zeros(3 * RATE_HZ, np.float32)))
    assert active_level_dbfs(speech) == pytest.approx(level_dbfs(tone(1.0)), abs=0.05)
    assert level_dbfs(speech) == pytest.approx(level_dbfs(tone(1.0)) - 6.02, abs=0.05)


@given(st.floats(-20, 30), st.floats(-40, 0))
def test_mixing_is_at_exactly_the_snr(snr_db: float, noise_db: float) -> None:
    speech = a_speaker().samples
    noise = at_snr(speech, with_gain(HISS, noise_db), snr_db)
    assert active_level_dbfs(speech) - level_dbfs(noise) == pytest.approx(snr_db, abs=0.01)


def test_room_tone_goes_on_at_the_level_of_the_pauses() -> None:
    recording = np.concatenate((HISS, tone(1.0)))
    tone_after = room_tone(recording, 2 * RATE_HZ, np.random.default_rng(1))
    assert len(tone_after) == 2 * RATE_HZ
    assert level_dbfs(tone_after) == pytest.approx(level_dbfs(HISS), abs=1.0)
    assert level_dbfs(room_tone(tone(0.01), 100, np.random.default_rng(1))) == -120


def test_rotating_and_repeating_keep_all_samples() -> None:
    ramp = np.arange(1000, dtype=np.float32)
    assert list(rotated(ramp, 0)) == list(ramp)
    assert len(rotated(ramp, 300)) == 1000
    # Behind the fade it is what was there.
    assert rotated(ramp, 300)[350] == 650
    assert len(repeated(ramp, 2500, 10)) == 2500
    assert faded(ramp)[0] == 0


# Mixtures


def test_noise_is_as_long_as_was_asked_for_and_the_first_round_is_as_recorded() -> None:
    sources = [a_noise(), a_noise("babble", "6-talker babble")]
    takes = list(noise_takes(sources, 0.01, seed=1))
    assert sum(take.sound_hours for take in takes) >= 0.01
    assert [take.made_of["gain_db"] for take in takes[:2]] == [0.0, 0.0]
    assert [take.group for take in takes[:2]] == ["noise", "voices"]
    assert len({take.made_of["offset_s"] for take in takes[2:]}) == len(takes) - 2
    again = list(noise_takes(sources, 0.01, seed=1))
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(takes, again, strict=True))


def test_words_on_noise_are_counted_on_recordings_as_they_are_and_varied() -> None:
    rows = write_noise(
        [a_noise(), a_noise("babble", "6-talker babble")],
        "webrtc",
        FakeEngine(lambda request: [DecodedWord(" oh", 0.0, 0.2, 0.9)]),
        hours=0.005,
        seed=1,
    )
    assert [row.is_varied for row in rows] == [False, False, *[True] * (len(rows) - 2)]
    assert len(rows) > 2
    report = noise_report(rows)
    assert report["without_voices"]["takes"] + report["voices"]["takes"] == len(rows)
    assert len(report["phrases"]) == sum(row.n_words > 0 for row in rows)


def test_labels_move_with_the_quiet_before_them() -> None:
    [take] = clean_takes([a_speaker()], seed=0)
    assert take.speech_ms == (1100.0, 3100.0)
    assert take.sound_ms == (1000.0, 3100.0)


def test_speech_in_noise_has_the_snr_and_its_noise_begins_before() -> None:
    speaker = a_speaker()
    [take] = speech_in_noise([speaker], [a_noise()], 5.0, seed=0)
    begin = round(take.sound_ms[0] * RATE_HZ / 1000)
    noise_alone = take.samples[1600 : begin - 1600]
    snr_db = active_level_dbfs(speaker.samples) - level_dbfs(noise_alone)
    assert snr_db == pytest.approx(5.0, abs=0.5)
    assert take.speech_ms == (2100.0, 4100.0)
    assert take.made_of["noise"] == "rain"


def test_leaks_lie_below_the_user() -> None:
    bot = a_source("bot", tone(3.0, 0.5))
    [alone] = leak_alone([bot], -18.0, user_dbfs=-26.0, seed=0)
    begin, end = (round(ms * RATE_HZ / 1000) for ms in alone.sound_ms)
    assert active_level_dbfs(alone.samples[begin:end]) == pytest.approx(-44.0, abs=0.1)
    speaker = a_speaker()
    [under] = leak_under_speech([speaker], [bot], -18.0, seed=0)
    before = under.samples[1600 : round(under.sound_ms[0] * 16) - 1600]
    expected_dbfs = active_level_dbfs(speaker.samples) - 18.0
    assert active_level_dbfs(before) == pytest.approx(expected_dbfs, abs=0.5)


@pytest.mark.parametrize(
    ("label", "kind", "group"),
    [
        ("babble in a crowded room", "noise", "voices"),
        ("baby cry", "noise", "voices"),
        ("man imitating a cat", "noise", "voices"),
        ("rain", "noise", "noise"),
        ("music on hold", "music", "music"),
        ("room tone", "silence", "silence"),
    ],
)
def test_groups(label: str, kind: str, group: str) -> None:
    assert group_of(a_source("x", HISS, kind=kind, label=label).entry) == group


# Events and labels


def a_log(*messages: tuple[float, str, dict[str, object]]) -> SessionLog:
    return SessionLog(
        "x", tuple(TimedMessage(at, {"type": kind, "data": data}) for at, kind, data in messages)
    )


def an_onset(detected_ms: float, *rejected_ms: float, has_text: bool = False) -> Onset:
    rejections = tuple((at_ms, "noise") for at_ms in rejected_ms)
    return Onset(1, detected_ms - 100, detected_ms, rejections, has_text)


def test_onsets_of_a_log_know_their_rejections_and_texts() -> None:
    started = {"utterance": 1, "audio_start_ms": 100, "duration_ms": 96}
    log = a_log(
        (200, "voice_activity_detected", started),
        (900, "voice_activity_rejected", {"utterance": 1, "reason": "noise"}),
        (1200, "voice_activity_detected", started | {"utterance": 2}),
        (1900, "transcription", {"utterance": 2, "text": "yes"}),
    )
    first, second = onsets_of(log)
    assert (first.detected_ms, first.rejections, first.has_text) == (196, ((900, "noise"),), False)
    assert (second.rejections, second.has_text) == ((), True)
    assert badly_answered([first, second]) == 0


@pytest.mark.parametrize(
    ("onsets", "delay_ms", "is_missed", "is_open", "n_before"),
    [
        ([an_onset(1130)], 130, False, False, 0),
        ([an_onset(950)], -50, False, False, 0),
        ([an_onset(500, 800), an_onset(1200)], 200, False, False, 1),
        ([an_onset(500, 1500)], None, False, True, 1),
        ([an_onset(500, 800)], None, True, False, 1),
        ([an_onset(2500)], None, True, False, 0),
        ([], None, True, False, 0),
    ],
)
def test_speech_is_heard_missed_or_open_before(
    onsets: list[Onset], delay_ms: float | None, is_missed: bool, is_open: bool, n_before: int
) -> None:
    verdict = judge_speech(onsets, (1000.0, 2000.0))
    assert verdict.delay_ms == delay_ms
    assert (verdict.is_missed, verdict.is_open_before) == (is_missed, is_open)
    assert verdict.n_before == n_before


def test_an_onset_without_text_needs_exactly_one_rejection() -> None:
    onsets = [an_onset(1), an_onset(1, 2), an_onset(1, 2, 3), an_onset(1, has_text=True)]
    assert badly_answered(onsets) == 2


# Numbers


def test_poisson_interval_is_the_exact_one() -> None:
    # Garwood's table.
    assert poisson_interval(0) == pytest.approx((0.0, 3.689), abs=1e-3)
    assert poisson_interval(1) == pytest.approx((0.0253, 5.572), abs=1e-3)
    assert poisson_interval(10) == pytest.approx((4.795, 18.390), abs=1e-3)
    assert poisson_interval(400) == pytest.approx((361.76, 441.20), abs=0.05)


def test_interpolation_stays_inside_its_points() -> None:
    points = [(700.0, 0.1), (300.0, 0.5)]
    assert interpolated(points, 500.0) == pytest.approx(0.3)
    assert interpolated(points, 300.0) == 0.5
    assert interpolated(points, 299.0) is None
    assert interpolated([], 1.0) is None


def test_percentiles_of_nothing_are_none() -> None:
    assert percentiles([], 50, 99) == {"p50": None, "p99": None, "count": 0}
    assert percentiles([1, 2, 3], 50) == {"p50": 2.0, "count": 3}


def test_bootstrap_covers_the_mean() -> None:
    values = np.arange(100.0)
    estimate = bootstrap(100, lambda chosen: float(values[chosen].mean()))
    assert estimate.value == 49.5
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low < 49.5 < estimate.high
    assert bootstrap(0, lambda chosen: 1.0).value is None


# Endpoints


def an_operation(name: str, silence_ms: int, delay_ms: float, n_cut: int) -> Operation:
    pauses = tuple(Pause(1000.0 * i, 1000.0 * i + 400) for i in range(n_cut))
    scores = tuple(PassageScore(f"r{i}", delay_ms, 10, pauses) for i in range(4))
    return Operation(name, silence_ms, scores)


def test_reduction_compares_at_the_same_delay() -> None:
    plain = [an_operation("silence", 300, 300.0, 8), an_operation("silence", 700, 700.0, 4)]
    other = [an_operation("adaptive", 300, 400.0, 4), an_operation("adaptive", 700, 600.0, 2)]
    everything = range(4)
    assert share_at(plain, everything) == pytest.approx(0.6)
    assert share_at(other, everything) == pytest.approx(0.3)
    assert reduction(plain, other).value == pytest.approx(0.5)
    figures = report([*plain, *other])
    assert figures["cut_share_at_budget"] == pytest.approx({"silence": 0.6, "adaptive": 0.3})
    json.dumps(figures)


def test_endpoints_belong_to_the_pause_they_lie_in() -> None:
    pauses = (Pause(1000, 1400), Pause(3000, 3500))
    passage = Passage("x", np.empty(0, np.float32), pauses, end_ms=5000)
    log = a_log(
        (1300, "speech_ended", {"utterance": 1, "audio_end_ms": 1010}),
        (5510, "speech_ended", {"utterance": 2, "audio_end_ms": 4990}),
    )
    assert score(passage, log) == PassageScore("x", 510, 2, (pauses[0],))
    assert score(passage, a_log()).delay_ms is None


def test_pauses_are_found_with_their_edges() -> None:
    speech = np.concatenate((tone(1.0), np.zeros(8000, np.float32), tone(1.0), np.zeros(16000)))
    found = find_pauses(speech.astype(np.float32), LevelDetector())
    assert found is not None
    pauses, end_ms = found
    [pause] = pauses
    assert pause.start_ms == pytest.approx(1000, abs=40)
    assert pause.end_ms == pytest.approx(1500, abs=40)
    assert end_ms == pytest.approx(2500, abs=40)
    assert find_pauses(np.zeros(16000, np.float32), LevelDetector()) is None


# What the engine heard is remembered


def test_decodes_are_remembered_by_what_was_asked(tmp_path: Path) -> None:
    words = (DecodedWord(" yes", 0.1, 0.4, 0.9),)
    heard = Hypothesis(words, "en", 1.0, 0.01, -0.2, 1.0, 12.5)
    request = DecodeRequest(samples=tone(0.5), language="en")
    DecodeMemory(tmp_path, "m").put(request_key(request), heard)
    memory = DecodeMemory(tmp_path, "m")
    assert memory.get(request_key(request)) == heard
    for other in (
        DecodeRequest(samples=tone(0.5)),
        DecodeRequest(samples=tone(0.6), language="en"),
        DecodeRequest(samples=tone(0.5), language="en", prefix_text="oh", prefix_s=0.2),
    ):
        assert memory.get(request_key(other)) is None


# Words and TTFS


@pytest.mark.parametrize(
    ("hypothesis", "first", "last"),
    [
        ("She had your dark suit.", False, False),
        ("had your dark suit", True, False),
        ("she had your dark", False, True),
        ("he had your dark shoot", True, True),
        ("oh she had your dark suit yes", False, False),
        ("", True, True),
    ],
)
def test_edge_errors(hypothesis: str, first: bool, last: bool) -> None:
    errors = edge_errors("she had your dark suit", hypothesis)
    assert (errors.first, errors.last) == (first, last)


def test_compare_lists_what_only_the_pipeline_lost() -> None:
    figures = compare(
        [
            Spoken("a", "red green blue", "green blue", "red green blue"),
            Spoken("b", "red green blue", "", ""),
            Spoken("c", "red green blue", "red green blue", "red green"),
        ]
    )
    assert figures["first_word_lost_ids"] == ["a"]
    assert figures["last_word_lost_ids"] == []
    assert figures["last_word_won_ids"] == ["c"]
    assert figures["without_text_ids"] == ["b"]
    assert figures["streamed"]["first_word_errors"] == 2
    assert figures["whole"]["wer"] == pytest.approx(4 / 9, abs=1e-4)
    json.dumps(figures)


def test_joined_utterances_know_their_places() -> None:
    clip, placed = join([Utterance("a", tone(1.0), last_word_ms=900.0), Utterance("b", tone(2.0))])
    assert clip.duration_ms == 6000
    assert placed[0] == Placed("a", 0.0, 2500.0, 900.0)
    assert placed[1] == Placed("b", 2500.0, 6000.0, None)


def test_ttfs_counts_from_when_the_last_sample_of_speech_was_sent(make_trace) -> None:
    def final(text: str) -> dict[str, object]:
        return {"type": "transcription", "data": {"utterance": 1, "text": text}}

    ended = {"utterance": 1, "audio_start_ms": 100, "audio_end_ms": 700}
    trace = make_trace(
        (0.9, {"type": "speech_ended", "data": ended}),
        (0.95, final("one")),
        (1.2, final("two")),
    )
    [sample] = samples_in(trace, [Placed("a", 0.0, 1000.0, last_word_ms=600.0)])
    assert sample.speech_s == pytest.approx(0.6)
    # The fixture sends 100 ms at a time, each when its last sample is there.
    assert sample.ttfs_ms == pytest.approx(500)
    assert sample.after_label_ms == pytest.approx(600)
