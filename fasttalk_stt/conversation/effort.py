"""How much a session may ask of the engine beside what it owes its client."""

from __future__ import annotations

from attrs import frozen

from fasttalk_stt.audio.timeline import pipeline_samples


@frozen
class Effort:
    """`draft_growth_samples` of new audio make another look at an open utterance worthwhile. `eager`
    allows text before its endpoint."""

    draft_growth_samples: int
    eager: bool = True


USUAL_EFFORT = Effort(pipeline_samples(1.0))
"""A look keeps a processor busy for 0.1-0.2 s, and the end of the utterance may come meanwhile."""
LESS_EFFORT = Effort(pipeline_samples(1.5))
LEAST_EFFORT = Effort(pipeline_samples(2.0), eager=False)
"""Where many wait: half as many drafts. Still fewer would hold back what is committed of a long
utterance by more than the 1.5 s beyond `buffer_duration` that are promised."""
