"""How Silero's probabilities become speech: one `VoiceRule` per sensitivity.

The network remembers what it heard, so one frame it is sure of says as much as several of which it is
not: a high bias with little evidence beat every lower bias with more of it. Measured, delay behind
the start of the first word (TIMIT, hand-labelled; median and 95th percentile) and onsets an hour on
4.3 h of noise without voices:

- bias 0, evidence 5: 126 and 222 ms, 39 an hour
- bias 0.5, evidence 3: 118 and 215 ms, 29 an hour
- bias 1, evidence 1.5: 107 and 217 ms, 20 an hour
- bias 1.6, evidence 0.3: 94 and 217 ms, 11 an hour (behind the gate: 89 and 207 ms, 11 an hour)
"""

from __future__ import annotations

from fasttalk_stt.audio.vad import VoiceRule

_ONSET_EVIDENCE = 0.3
_BIASES = (0.5, 1.0, 1.6, 2.0)
"""By sensitivity: one frame opens an utterance at a probability of 0.69, 0.79, 0.87 or 0.91.

Measured with this sum alone: 63, 36, 11 and 4 false onsets an hour; 95 % of delays within 166, 179, 217 and
280 ms.
"""
_EXTRA_BIAS_WHILE_BOT_SPEAKS = 0.25
"""At sensitivity 2: 7 false onsets an hour instead of 11, for 10 ms of delay (median)."""

_LESS_BIAS_WHEN_SUSTAINED = 0.8
_LEAST_SUSTAINED_BIAS = 0.4
_SUSTAINED_EVIDENCE = 4.0
"""Of telephones and old recordings Silero is no surer than 0.7 to 0.83 for whole words. At sensitivity 2
nine frames of 0.78 open. Measured: 12.9 false onsets an hour instead of 11.7 (1.6 h of noise without
voices); with a bias of 0.4 and an evidence of 5 sooner, and 19.7."""

_FAINT_PROBABILITY = 0.25
"""See `evidence.FaintVoice`: with 0.3 of the 201 frames 30 are left."""

# Inside an utterance even odds suffice. Measured at 5 dB above noise: with the onset's bias 4.8 % of
# utterances lose their end, so 2.0 %.
_RESUME_BIAS = 0.0
_RESUME_EVIDENCE = 0.3
# Measured: speech ends 46 ms (median) behind the labelled end of the last word, 95 % within 140 ms.
# At 0.3 it ends 26 ms later, at 0.7 there are twice as many pauses inside words.
_KEEP_PROBABILITY = 0.5


def silero_rule(sensitivity: int, *, bot_is_speaking: bool) -> VoiceRule:
    """The rule for Silero's probabilities; `sensitivity` 0-3 is from easily triggered to strict."""
    extra = _EXTRA_BIAS_WHILE_BOT_SPEAKS if bot_is_speaking else 0.0
    return VoiceRule(
        bias=_BIASES[sensitivity] + extra,
        sustained_bias=max(
            _BIASES[sensitivity] + extra - _LESS_BIAS_WHEN_SUSTAINED, _LEAST_SUSTAINED_BIAS
        ),
        sustained_evidence=_SUSTAINED_EVIDENCE,
        # What is fainter may be the bot's own words, out of a loudspeaker.
        faint_probability=_KEEP_PROBABILITY if bot_is_speaking else _FAINT_PROBABILITY,
        onset_evidence=_ONSET_EVIDENCE,
        resume_bias=_RESUME_BIAS,
        resume_evidence=_RESUME_EVIDENCE,
        keep_probability=_KEEP_PROBABILITY,
    )
