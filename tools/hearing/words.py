"""Words: those written where nobody speaks, and those lost or wrong where somebody does.

The whole pipeline with the voice detector on is compared with the same engine given each clip by
hand as one request, so that what differs is the cutting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jiwer
from attrs import frozen

from fasttalk_stt.inference.engine import DecodeRequest, Engine
from tools.hearing.engines import RememberingEngine
from tools.hearing.listening import SessionLog, setup
from tools.hearing.mixtures import Source, clean_takes, is_varied, noise_takes
from tools.hearing.playing import play
from tools.offline_wer import LONGEST_S
from tools.scoring import WordErrors, normalise, total_errors, word_errors


@frozen
class EdgeErrors:
    """Whether the first and the last word of a reference are in the hypothesis, where they belong."""

    first: bool
    last: bool


def edge_errors(reference: str, hypothesis: str) -> EdgeErrors:
    """Compare by the alignment with the fewest errors; True is an error."""
    expected, heard = normalise(reference), normalise(hypothesis)
    if not expected:
        return EdgeErrors(False, False)
    if not heard:
        return EdgeErrors(True, True)
    output = jiwer.process_words(expected, heard)
    equal: set[int] = set()
    for chunk in output.alignments[0]:
        if chunk.type == "equal":
            equal.update(range(chunk.ref_start_idx, chunk.ref_end_idx))
    n_words = len(expected.split())
    return EdgeErrors(first=0 not in equal, last=n_words - 1 not in equal)


@frozen
class Written:
    """What was written on one recording without speech."""

    id: str
    kind: str
    group: str
    hours: float
    text: str
    is_varied: bool = False

    @property
    def n_words(self) -> int:
        return len(normalise(self.text).split())


def write_noise(
    noise: Sequence[Source], vad: str, engine: Engine, *, hours: float, seed: int
) -> list[Written]:
    """Recordings without speech through the pipeline: each as it is, and varied up to `hours`."""
    played = play(noise_takes(noise, hours, seed=seed), setup(vad=vad), engine)
    return [
        Written(t.id, t.kind, t.group, t.sound_hours, log.text, is_varied=is_varied(t))
        for t, log in played
    ]


def noise_report(rows: Sequence[Written]) -> dict[str, Any]:
    """Words by group and kind, and everything that was written."""
    kinds = sorted({row.kind for row in rows})
    return {
        "without_voices": _noise_figures([row for row in rows if row.group != "voices"]),
        "voices": _noise_figures([row for row in rows if row.group == "voices"]),
        "by_kind": {kind: _noise_figures([r for r in rows if r.kind == kind]) for kind in kinds},
        "phrases": [
            {"id": row.id, "kind": row.kind, "group": row.group, "text": row.text}
            for row in rows
            if row.n_words
        ],
    }


def _noise_figures(rows: Sequence[Written]) -> dict[str, Any] | None:
    if not rows:
        return None
    words = sum(row.n_words for row in rows)
    hours = sum(row.hours for row in rows)
    return {
        "takes": len(rows),
        "takes_with_words": sum(row.n_words > 0 for row in rows),
        "hours": round(hours, 4),
        "words": words,
        "words_per_hour": round(words / hours, 2),
    }


@frozen
class Spoken:
    """One clip both ways; `errors` are what the session reported."""

    id: str
    reference: str
    streamed: str
    whole: str
    errors: tuple[str, ...] = ()


def write_speech(
    speech: Sequence[Source], vad: str, engine: RememberingEngine, *, seed: int
) -> list[Spoken]:
    """Clips of up to 30 s through the pipeline, and each as one request by hand."""
    clips = [source for source in speech if source.entry.seconds <= LONGEST_S]
    played = play(clean_takes(clips, seed=seed), setup(vad=vad), engine)
    return [_spoken(source, log, engine) for source, (_, log) in zip(clips, played, strict=True)]


def _spoken(source: Source, log: SessionLog, engine: RememberingEngine) -> Spoken:
    whole = engine.decode_now(DecodeRequest(samples=source.samples, language="en"))
    return Spoken(
        id=source.id,
        reference=source.entry.text or "",
        streamed=log.text,
        whole=whole.text,
        errors=log.errors,
    )


def compare(spoken: Sequence[Spoken]) -> dict[str, Any]:
    """Word errors of both ways, and the clips whose edges the pipeline alone lost."""
    streamed = [edge_errors(each.reference, each.streamed) for each in spoken]
    whole = [edge_errors(each.reference, each.whole) for each in spoken]
    pairs = list(zip(spoken, streamed, whole, strict=True))
    return {
        "clips": len(spoken),
        "errors": [f"{each.id}: {error}" for each in spoken for error in each.errors],
        "streamed": _side(
            [word_errors(each.reference, each.streamed) for each in spoken], streamed
        ),
        "whole": _side([word_errors(each.reference, each.whole) for each in spoken], whole),
        "first_word_lost_ids": [s.id for s, ours, theirs in pairs if ours.first > theirs.first],
        "last_word_lost_ids": [s.id for s, ours, theirs in pairs if ours.last > theirs.last],
        "first_word_won_ids": [s.id for s, ours, theirs in pairs if ours.first < theirs.first],
        "last_word_won_ids": [s.id for s, ours, theirs in pairs if ours.last < theirs.last],
        "without_text_ids": [s.id for s in spoken if not normalise(s.streamed)],
        "texts": {
            s.id: {"reference": s.reference, "streamed": s.streamed, "whole": s.whole}
            for s in spoken
            if normalise(s.streamed) != normalise(s.whole)
        },
    }


def _side(errors: Sequence[WordErrors], edges: Sequence[EdgeErrors]) -> dict[str, Any]:
    total = total_errors(errors)
    return {
        "wer": round(total.wer, 5),
        "substitutions": total.substitutions,
        "deletions": total.deletions,
        "insertions": total.insertions,
        "reference_words": total.reference_words,
        "first_word_errors": sum(edge.first for edge in edges),
        "last_word_errors": sum(edge.last for edge in edges),
    }
