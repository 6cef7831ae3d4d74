"""How much a session may ask of the engine beside what it owes its client."""

from __future__ import annotations

from attrs import frozen

from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.conversation.recent import CONTEXT_SAMPLES


@frozen
class Effort:
    """So much new audio makes another look at an open utterance worthwhile: `partial_samples` where it
    is only to be shown, `commit_samples` where words may be committed. `speculates` allows requests
    for the text of an utterance in the pause before its end, whose answers are the eager results. Requests
    carry up to `context_samples` of what was said before.
    """

    partial_samples: int
    commit_samples: int
    speculates: bool = True
    context_samples: int = CONTEXT_SAMPLES


USUAL_EFFORT = Effort(pipeline_samples(0.7), pipeline_samples(1.0))
"""A partial is seen some 0.2 s after its look, so that there is a new one every second."""
LESS_CONTEXT_SAMPLES = pipeline_samples(2.0)
"""Of continuous speech every request carries all of its context: with half of it the engine has a quarter
less to do, and no more words are wrong; of short recordings more are."""
LESS_EFFORT = Effort(
    pipeline_samples(1.5), pipeline_samples(1.2), context_samples=LESS_CONTEXT_SAMPLES
)
LEAST_EFFORT = Effort(
    pipeline_samples(2.0),
    pipeline_samples(1.5),
    speculates=False,
    context_samples=LESS_CONTEXT_SAMPLES,
)
"""Of 149 pauses of read speech 53 went on, and what was asked in them was for nothing. Commits that are
still rarer would hold audio back by more than the 1.5 s beyond `buffer_duration` that are promised."""
