from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.access.rates import Allowance, Bucket, KeyedBuckets, Verdict

gaps = st.lists(st.floats(0.0, 5.0, allow_nan=False), min_size=1, max_size=60)


@given(gaps=gaps, rate_per_s=st.floats(0.5, 50.0), burst=st.floats(1.0, 50.0))
def test_never_more_than_the_burst_and_the_rate(
    gaps: list[float], rate_per_s: float, burst: float
) -> None:
    bucket = Bucket(rate_per_s=rate_per_s, burst=burst)
    now_s, taken = 100.0, 0
    for gap in gaps:
        now_s += gap
        wait_s = bucket.take(1.0, now_s)
        taken += not wait_s
        assert taken <= burst + rate_per_s * (now_s - 100.0) + 1e-6
        if wait_s:
            # The wait that is told is true: not sooner, and then surely.
            assert bucket.take(1.0, now_s + wait_s / 2) > 0
            now_s += wait_s
            assert bucket.take(1.0, now_s + 1e-6) == 0
            taken += 1


@given(amounts=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=60))
def test_whoever_waits_as_told_keeps_to_the_rate(amounts: list[float]) -> None:
    bucket = Bucket(rate_per_s=2.0, burst=1.0)
    now_s, spent = 0.0, 0.0
    for amount in amounts:
        now_s += bucket.spend(amount, now_s)
        spent += amount
        assert spent <= 1.0 + 2.0 * now_s + 1e-6


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = Bucket(rate_per_s=1.0, burst=1.0)
    assert bucket.take(1.0, 100.0) == 0
    assert bucket.take(1.0, 50.0) == 1.0
    assert bucket.take(1.0, 50.5) == 0.5


def test_keys_have_buckets_of_their_own_and_full_ones_are_forgotten() -> None:
    buckets: KeyedBuckets[str] = KeyedBuckets(rate_per_s=1.0, burst=1.0)
    assert [buckets.take(key, 0.0) for key in ("a", "a", "b")] == [0.0, 1.0, 0.0]
    assert len(buckets) == 2
    assert buckets.take("c", 10.0) == 0.0
    assert len(buckets) == 1


def test_memory_is_bounded() -> None:
    buckets: KeyedBuckets[int] = KeyedBuckets(rate_per_s=0.001, burst=1.0, max_keys=100)
    for key in range(1_000):
        assert buckets.take(key, 0.0) == 0.0
        assert len(buckets) <= 100
    # The latest are remembered, the first forgiven.
    assert buckets.take(999, 0.0) > 0
    assert buckets.take(0, 0.0) == 0


def flood(per_s: float, for_s: float, limit_per_s: int = 200) -> tuple[list[Verdict], float]:
    """Send at that rate until parted with; returns the verdicts and how long it went on."""
    allowance, verdicts = Allowance(limit_per_s), []
    for number in range(round(per_s * for_s)):
        now_s = number / per_s
        verdicts.append(allowance.text(now_s))
        if verdicts[-1] is Verdict.PART:
            return verdicts, now_s
    return verdicts, for_s


def test_messages_at_the_limit_are_all_taken() -> None:
    verdicts, _ = flood(200.0, 30.0)
    assert set(verdicts) == {Verdict.TAKE}


def test_ten_times_the_limit_is_told_once_and_parted_with() -> None:
    verdicts, lived_s = flood(2_000.0, 30.0)
    assert [verdicts.count(each) for each in (Verdict.TELL, Verdict.PART)] == [1, 1]
    assert 0.1 < lived_s < 0.3


def test_twice_the_limit_lives_two_seconds() -> None:
    _, lived_s = flood(400.0, 30.0)
    assert 1.5 < lived_s < 2.5


def test_a_burst_is_forgiven_after_a_pause() -> None:
    allowance = Allowance(10)
    for start_s in (0.0, 5.0, 10.0):
        verdicts = [allowance.text(start_s) for _ in range(15)]
        assert verdicts.count(Verdict.TAKE) == 10
        assert verdicts[10:] == [Verdict.TELL] + [Verdict.DROP] * 4


def test_frames_in_real_time_and_replays_are_never_held() -> None:
    for frame_s in (0.005, 0.010, 0.032, 1.0):
        allowance = Allowance(200)
        # All at once: a replay without a pace.
        assert {allowance.frame(frame_s, 0.0) for _ in range(2_000)} == {0.0}


def test_tiny_empty_and_useless_frames_are_read_at_the_limit() -> None:
    for audio_s, per_s in ((0.0, 200), (1 / 16_000, 202.5), (0.0025, 400)):
        allowance, now_s, n_frames = Allowance(200), 0.0, 0
        while now_s < 10.0:
            now_s += allowance.frame(audio_s, now_s)
            n_frames += 1
        burst = per_s
        assert abs(n_frames - burst - 10 * per_s) <= 0.01 * 10 * per_s


def test_a_keys_audio_is_shared_by_its_connections() -> None:
    audio = Bucket(rate_per_s=1.0, burst=10.0)
    first, second = Allowance(200, audio), Allowance(0, audio)
    assert [first.frame(1.0, 0.0) for _ in range(5)] == [0.0] * 5
    assert [second.frame(1.0, 0.0) for _ in range(5)] == [0.0] * 5
    assert first.frame(1.0, 0.0) == 1.0
    assert second.frame(1.0, 0.5) == 1.5


def test_no_limit() -> None:
    allowance = Allowance(0)
    assert {allowance.text(0.0) for _ in range(1_000)} == {Verdict.TAKE}
    assert {allowance.frame(0.0, 0.0) for _ in range(1_000)} == {0.0}
