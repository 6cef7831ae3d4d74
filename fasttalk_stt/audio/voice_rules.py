"""How the frames of each detector become speech: one `VoiceRule` per sensitivity."""

from __future__ import annotations

from attrs import evolve

from fasttalk_stt.audio.vad import VoiceRule

_SILERO = (
    VoiceRule(bias=0.0, onset_evidence=3.0, resume_evidence=1.5, keep_probability=0.4),
    VoiceRule(bias=0.0, onset_evidence=4.0, resume_evidence=2.0, keep_probability=0.4),
    VoiceRule(bias=0.0, onset_evidence=5.0, resume_evidence=2.0, keep_probability=0.4),
    VoiceRule(bias=0.0, onset_evidence=7.0, resume_evidence=2.0, keep_probability=0.4),
)
_SILERO_BOT_FACTOR = 1.5


def silero_rule(sensitivity: int, *, bot_is_speaking: bool) -> VoiceRule:
    """The rule for Silero's probabilities; `sensitivity` 0-3 is from easily triggered to strict."""
    rule = _SILERO[sensitivity]
    if not bot_is_speaking:
        return rule
    return evolve(rule, onset_evidence=rule.onset_evidence * _SILERO_BOT_FACTOR)
