"""How many words of a draft may be committed while the speaker goes on.

The words near the edge of the audio are the ones the engine may still revise, and the last may be
cut in two by the edge. So words are committed that end well before it.
"""

from __future__ import annotations

from collections.abc import Sequence

from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.conversation.segments import Heard, HeardWord

COMMIT_MARGIN_SAMPLES = pipeline_samples(0.5)
"""A word that ends this long before the edge is committed."""

FORCED_AFTER_SAMPLES = pipeline_samples(10.0)
"""Audio that waited this long is committed up to the last word boundary there is."""


def committable(words: Sequence[HeardWord], *, start: int, edge: int) -> int:
    """How many of a draft's words to commit; `start` is where its uncommitted audio begins.

    Where the margin admits none and the audio waited too long, all but the last word go, since the
    edge may cut that one.
    """
    n_words = sum(1 for word in words if word.end <= edge - COMMIT_MARGIN_SAMPLES)
    if n_words == 0 and edge - start >= FORCED_AFTER_SAMPLES:
        return max(len(words) - 1, 0)
    return n_words


def cut_after(words: Sequence[HeardWord], n_words: int, *, edge: int) -> int:
    """Where to cut the audio behind the first `n_words` (at least 1): between two words.

    The middle of the gap to the next word, where there is one: word times are estimates, and
    either word may reach a little further than they say.
    """
    last_end = words[n_words - 1].end
    if n_words == len(words):
        return min(last_end, edge)
    return min(max(last_end, (last_end + words[n_words].start) // 2), edge)


def whole_words(heard: Heard, *, start: int, edge: int) -> tuple[Heard, int]:
    """Without a last word that the edge may have cut, and where what remains of [start, edge) ends."""
    if not heard.words or heard.words[-1].end <= edge - COMMIT_MARGIN_SAMPLES:
        return heard, edge
    heard = heard.without_last_word()
    if not heard.words:
        return heard, start
    return heard, max(cut_after(heard.words, len(heard.words), edge=edge), start)
