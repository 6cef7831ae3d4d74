"""An engine without a model, for tests and rehearsals: it "hears" words in loud audio, at a price.

It is asynchronous through and through, because the virtual clock of tests does not wait for threads.
What it hears, what it costs and when it fails can all be replaced.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
import trio

from fasttalk_stt.inference.engine import (
    SAMPLE_RATE_HZ,
    DecodedWord,
    DecodeRequest,
    Hypothesis,
)

WORD_S = 0.4
"""The default hearing finds one word in each stretch of this length that is loud enough."""

_LOUD_RMS = 0.01

Hearing = Callable[[DecodeRequest], Sequence[DecodedWord]]
Cost = Callable[[Sequence[DecodeRequest]], float]


def hear_loud_stretches(request: DecodeRequest) -> list[DecodedWord]:
    """One word for each WORD_S of audio whose RMS is above -40 dBFS, named by its place.

    Words of the prefix, counted by spaces, are taken as heard already.
    """
    size = int(WORD_S * SAMPLE_RATE_HZ)
    words = []
    for start in range(0, len(request.samples), size):
        stretch = request.samples[start : start + size]
        if float(np.sqrt(np.mean(np.square(stretch)))) < _LOUD_RMS:
            continue
        words.append(
            DecodedWord(
                text=f" word{start // size}",
                start_s=start / SAMPLE_RATE_HZ,
                end_s=(start + len(stretch)) / SAMPLE_RATE_HZ,
                confidence=0.9,
            )
        )
    return words[len(request.prefix_text.split()) :]


class FakeEngine:
    """Implements `engine.Engine`.

    `hear` decides the words, `cost_s` how many seconds of virtual time a batch takes. Either may
    raise, as an engine would. `batches` records what was decoded together, the latest `n_recorded` of them
    (None: all, for tests, which are short); `seats` is how many at a time.
    """

    model_name = "fake"
    supported_languages = frozenset({"de", "en", "fr"})
    batch_size = 16
    request_s = 0.0

    def __init__(
        self,
        hear: Hearing = hear_loud_stretches,
        *,
        cost_s: Cost = lambda requests: 0.0,
        load_s: float = 0.0,
        seats: int = 1,
        n_recorded: int | None = None,
    ) -> None:
        self.seats = seats
        self._hear = hear
        self._cost_s = cost_s
        self._load_s = load_s
        self.batches: deque[list[DecodeRequest]] = deque(maxlen=n_recorded)

    async def load(self) -> None:
        await trio.sleep(self._load_s)

    async def unload(self) -> None:
        pass

    async def decode(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        self.batches.append(list(requests))
        cost_s = self._cost_s(requests)
        await trio.sleep(cost_s)
        return [
            Hypothesis(
                words=tuple(self._hear(request)),
                language=request.language or "en",
                language_confidence=1.0,
                no_speech_probability=0.0,
                average_log_probability=-0.1,
                compression_ratio=1.0,
                compute_ms=cost_s * 1000 / len(requests),
            )
            for request in requests
        ]
