"""The audio a session still has, and how a request to the engine is made of it.

A request carries what was said just before as context, so this also keeps the words that are known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fasttalk_stt.audio.buffer import SampleBuffer
from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.conversation.context import Context
from fasttalk_stt.conversation.recent import CONTEXT_SAMPLES, RecentWords
from fasttalk_stt.conversation.segments import HeardWord, Speech
from fasttalk_stt.protocol.config import SessionConfig, primary_language

KEPT_SAMPLES = pipeline_samples(6.0)
"""Of what was handed out: with what is open since, most of the 8 s that Smart Turn looks at."""
WINDOW_SAMPLES = pipeline_samples(28.0)
"""The longest request; Whisper's window is 30 s."""


class RequestMaker:
    """Makes the requests of one session, in its language and with its vocabulary."""

    def __init__(self, config: SessionConfig) -> None:
        self._config = config
        self._context = Context()
        self._buffer = SampleBuffer()
        self._recent = RecentWords()

    @property
    def buffered_to(self) -> int:
        return self._buffer.end

    @property
    def language(self) -> str | None:
        """The session's language, else the context's, else None: to be detected."""
        context = primary_language(self._context.language_context)
        return self._config.language_code or context

    def adjust(self, config: SessionConfig, context: Context) -> None:
        """Ask by these from now on. Words of one language are no context for another."""
        language = self.language
        self._config, self._context = config, context
        if language != self.language:
            self._recent = RecentWords()

    def append(self, samples: npt.NDArray[np.float32]) -> None:
        self._buffer.append(samples)

    def remember(self, start: int, end: int, words: Sequence[HeardWord]) -> None:
        """What was said in [start, end) is known: these words, or nothing."""
        self._recent.add(start, end, words)

    def forget_before(self, cursor: int) -> None:
        """Audio before `cursor` was handed out; some of it may still serve as context, and to judge a turn
        by."""
        self._buffer.forget_before(cursor - KEPT_SAMPLES)

    def heard(self, start: int, end: int) -> npt.NDArray[np.float32]:
        """The audio of [start, end), as far as it is kept."""
        return self._buffer.read(start, end)

    def speech(
        self,
        start: int,
        end: int,
        *,
        context_from: int,
        voiced: tuple[tuple[int, int], ...] | None,
        context_samples: int = CONTEXT_SAMPLES,
        tail: npt.NDArray[np.float32] | None = None,
    ) -> Speech:
        """The audio of a request for [start, end): as much context as fits from `context_from` on, up to
        `context_samples`, then that audio.

        `tail` follows the buffer's end, where `end` lies beyond it.
        """
        earliest = max(
            end - WINDOW_SAMPLES, start - context_samples, self._buffer.start, context_from
        )
        context = self._recent.before(start, earliest=earliest)
        first = min(context[0].start, start) if context else start
        samples = self._buffer.read(first, end)
        if tail is not None and len(tail):
            samples = np.concatenate((samples, tail))[: end - first]
        return Speech(
            first,
            samples,
            context_samples=start - first,
            context_text="".join(word.text for word in context).strip(),
            language=self.language,
            vocabulary=self._config.vocabulary,
            voiced=voiced,
        )
