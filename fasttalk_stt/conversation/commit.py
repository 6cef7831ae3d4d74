"""How many words of a draft may be committed while the speaker goes on.

The words near the edge of the audio are the ones the engine may still revise, and the last may be
cut in two by the edge. So words are committed that end well before it.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.conversation.figures import is_figure
from fasttalk_stt.conversation.segments import Heard, HeardWord

COMMIT_MARGIN_SAMPLES = pipeline_samples(1.0)
"""A word that ends this long before the edge is committed. Waiting instead until two drafts agree on it
(LocalAgreement-2, Macháček et al. 2023, arXiv:2307.14743; a margin of 0.7 s, 6 s of context) takes twice the
work and audio waits longer: 3.6 against 3.35 s (95th percentile) in 1,244 s of continuous speech, of which
11.6 and 11.1 % of words are wrong. Of recordings of 6 s on average it leaves fewer wrong, 9.7 against 10.3 %,
since it commits less often there (tiny.en; whole recordings offline: 10.5 %)."""
COMMIT_EXTRA_SAMPLES = pipeline_samples(0.5)
"""How much more than `buffer_duration` waits before anything is committed. A word or two committed at
every look leave the decoder little to go by."""
WHOLE_MARGIN_SAMPLES = pipeline_samples(0.7)
"""A word that ends this long before the edge was not cut by it."""

SHORTEST_SEGMENT_SAMPLES = pipeline_samples(0.02)
"""Nothing shorter can hold a word: word times are no finer."""

FIGURES_HELD_SAMPLES = pipeline_samples(6.0)
"""A number that is being read out is not cut in two within this time."""
FORCED_AFTER_SAMPLES = pipeline_samples(10.0)
"""Audio that waited this long is committed up to the last word boundary there is."""


@frozen
class Cut:
    """The first `n_words` are committed, and the audio up to `end` with them."""

    n_words: int
    end: int


def choose_cut(words: Sequence[HeardWord], *, start: int, edge: int, drop_wordless: bool) -> Cut:
    """Where to cut the open audio [start, edge) after a draft; `end` is `start` for nowhere.

    `drop_wordless` lets audio go in which no word was found: a detector that opened on noise must not
    hold it for ever.
    """
    if not words and drop_wordless:
        n_words, end = 0, edge - COMMIT_MARGIN_SAMPLES
    else:
        n_words = committable(words, start=start, edge=edge)
        end = cut_after(words, n_words, edge=edge) if n_words else start
    return Cut(n_words, end) if end - start >= SHORTEST_SEGMENT_SAMPLES else Cut(0, start)


def committable(words: Sequence[HeardWord], *, start: int, edge: int) -> int:
    """How many of a draft's words to commit; `start` is where its uncommitted audio begins.

    Those that end well before the edge. Of audio that waited too long, where the margin admits nothing,
    all but the last word, which the edge may cut.
    """
    settled = sum(1 for word in words if word.end <= edge - COMMIT_MARGIN_SAMPLES)
    if edge - start >= FORCED_AFTER_SAMPLES:
        return settled or max(len(words) - 1, 0)
    if edge - start < FIGURES_HELD_SAMPLES:
        while settled and is_figure(words[settled - 1]):
            settled -= 1
    return settled


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
    """Without a last word that the edge may have cut, and where what remains of [start, edge) ends.

    Where no whole word is left nothing remains: what was said may only have begun.
    """
    if heard.words and heard.words[-1].end <= edge - WHOLE_MARGIN_SAMPLES:
        return heard, edge
    heard = heard.without_last_word()
    end = cut_after(heard.words, len(heard.words), edge=edge) if heard.words else start
    if end - start < SHORTEST_SEGMENT_SAMPLES:
        return heard.without_words(), start
    return heard, end
