"""The sample buffer against a plain array."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.audio.buffer import SampleBuffer

STEPS = st.lists(
    st.tuples(st.just("append"), st.integers(0, 9_000))
    | st.tuples(st.just("forget"), st.integers(0, 60_000)),
    max_size=30,
)


@given(STEPS, st.integers(0, 80_000), st.integers(0, 80_000))
def test_it_holds_what_was_appended_and_not_forgotten(
    steps: list[tuple[str, int]], low: int, high: int
) -> None:
    buffer = SampleBuffer()
    everything = np.empty(0, dtype=np.float32)
    for step, amount in steps:
        if step == "append":
            new = np.arange(len(everything), len(everything) + amount, dtype=np.float32)
            everything = np.concatenate((everything, new))
            buffer.append(new)
        else:
            buffer.forget_before(amount)
    assert buffer.end == len(everything)
    assert buffer.start <= buffer.end
    low, high = sorted((low, high))
    np.testing.assert_array_equal(buffer.read(low, high), everything[max(low, buffer.start) : high])


def test_its_memory_is_bounded_by_what_it_must_hold() -> None:
    buffer = SampleBuffer()
    for _ in range(1_000):
        buffer.append(np.zeros(1_600, dtype=np.float32))
        buffer.forget_before(buffer.end - 8_000)
    assert buffer._store.size <= 4 * (8_000 + 1_600)


def test_what_is_read_is_a_copy() -> None:
    buffer = SampleBuffer()
    buffer.append(np.zeros(4, dtype=np.float32))
    buffer.read(0, 4)[:] = 1
    assert not buffer.read(0, 4).any()
