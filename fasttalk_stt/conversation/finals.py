"""From what was heard to the messages about it: finals with word times, partials, loudness.

Pure translation of positions and texts into the wire's milliseconds; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence

from fasttalk_stt.audio.endpointer import SpeechStarted
from fasttalk_stt.audio.timeline import Timeline
from fasttalk_stt.conversation.figures import joined_figures
from fasttalk_stt.conversation.segments import Entry, Heard, HeardWord
from fasttalk_stt.protocol.server_messages import (
    PartialData,
    PartialTranscription,
    SegmentMetadata,
    Transcription,
    TranscriptionData,
    VoiceActivityData,
    WordTime,
)


def position_ms(timeline: Timeline, position: int) -> int:
    """A pipeline position in milliseconds of the session clock."""
    return timeline.to_ms(timeline.to_session(position))


def word_times(
    words: Sequence[HeardWord], *, timeline: Timeline, start_ms: int, end_ms: int
) -> tuple[WordTime, ...]:
    """Word times for the wire: inside [start_ms, end_ms], non-decreasing, each at least 1 ms long.

    The engine's times are estimates and may reach past a cut; they are moved, never dropped.
    """
    times = []
    earliest = start_ms
    for word in words:
        start = min(max(position_ms(timeline, word.start), earliest), end_ms - 1)
        end = min(max(position_ms(timeline, word.end), start + 1), end_ms)
        earliest = start
        times.append(
            WordTime(
                word=word.text.strip(),
                start_ms=start,
                end_ms=end,
                confidence=round(min(max(word.confidence, 0.0), 1.0), 3),
            )
        )
    return tuple(times)


def transcription(
    entry: Entry,
    heard: Heard,
    *,
    timeline: Timeline,
    model: str,
    sent_at_s: float,
) -> Transcription:
    """The final of one segment, stamped with the latencies of being sent now."""
    segment = entry.segment
    start_ms = position_ms(timeline, segment.start)
    end_ms = position_ms(timeline, entry.end)
    return Transcription(
        TranscriptionData(
            utterance=segment.utterance,
            text=heard.text,
            processing_time_ms=_elapsed_ms(
                max(entry.closed_at_s, entry.requested_at_s), entry.ready_at_s
            ),
            audio_duration_ms=end_ms - start_ms,
            timestamps=word_times(heard.words, timeline=timeline, start_ms=start_ms, end_ms=end_ms)
            if entry.with_times
            else None,
            metadata=SegmentMetadata(
                duration=(end_ms - start_ms) / 1000,
                chunks_count=entry.chunks,
                reason=segment.reason,
                audio_start_ms=start_ms,
                language=heard.language,
                language_confidence=heard.language_confidence,
                end_of_turn=segment.ends_utterance and segment.reason != "buffer_full",
                model=heard.model or model,
                compute_ms=round(heard.compute_ms, 1),
                latency_ms=_elapsed_ms(entry.arrived_at_s, sent_at_s),
            ),
        )
    )


def partial(
    utterance: int,
    stable_text: str,
    open_words: Sequence[HeardWord],
    *,
    start: int,
    edge: int,
    timeline: Timeline,
) -> PartialTranscription:
    """An utterance as it stands at `edge`: what was committed since `start` is stable, the rest may
    change.

    `stable_text` has the spaces the engine gave it.
    """
    text = stable_text + "".join(word.text for word in joined_figures(open_words))
    start_ms = position_ms(timeline, start)
    return PartialTranscription(
        PartialData(
            utterance=utterance,
            text=text.strip(),
            stable_text=stable_text.strip(),
            audio_start_ms=start_ms,
            audio_duration_ms=position_ms(timeline, edge) - start_ms,
        )
    )


def voice_activity(
    utterance: int,
    started: SpeechStarted,
    *,
    timeline: Timeline,
    timestamp: str,
    barge_in: bool,
    withheld_segments: int,
) -> VoiceActivityData:
    """The report of an onset."""
    onset_ms = position_ms(timeline, started.onset)
    return VoiceActivityData(
        utterance=utterance,
        confidence=round(started.confidence, 3),
        duration_ms=position_ms(timeline, started.detected_at) - onset_ms,
        energy_level=round(started.level, 3),
        is_speech=True,
        timestamp=timestamp,
        audio_start_ms=onset_ms,
        barge_in=barge_in,
        withheld_segments=withheld_segments,
    )


def _elapsed_ms(since_s: float, until_s: float) -> float:
    return round(max(until_s - since_s, 0.0) * 1000, 1)
