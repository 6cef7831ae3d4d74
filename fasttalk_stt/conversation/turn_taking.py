"""How much silence ends the utterance now: by what was said, how it sounded, and who speaks.

Three modes. `silence` waits the same everywhere. `adaptive` reads the words heard so far: behind a
finished sentence it waits as long as it was told, behind "because" longer. `smart` asks a model of
intonation as well (`inference.smart_turn`). Pure: the clues come from a speculative transcription of
the open pause, and may come late or not at all; then the silence is plain. Lengths are pipeline samples.

Measured on 419 pauses inside 100 recordings of read and dictated speech, each mode at a median of 500 ms
behind the ends: plain silence cuts off 24 % of the pauses, `adaptive` 22 %, `smart` 15 % (tiny.en). On
earlier code and fewer pauses base gave 27, 22 and 13 %, and of TIMIT's whole sentences `adaptive` made 2.5 %
wait longer, `smart` 11 %.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, TypeVar

from attrs import frozen

from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.conversation.turn_words import TURN_WORDS, TurnWords
from fasttalk_stt.protocol.client_messages import ResponseType
from fasttalk_stt.protocol.config import primary_language

_Number = TypeVar("_Number", int, float)

EndpointerMode = Literal["silence", "adaptive", "smart"]

Ending = Literal["finished", "unclear", "unfinished"]
"""How far a sentence got, judged by its words."""

RESPONSE_FACTORS: Mapping[ResponseType, float] = MappingProxyType(
    {"command": 0.7, "casual": 1.0, "question": 1.5}
)
"""Guesses, not measured: a command is short and wants its effect at once, an answer to a question is
thought about while it is spoken."""

SHORTEST_SILENCE_SAMPLES = pipeline_samples(0.1)
"""No utterance ends sooner: stops such as [t] and [k] are silent for 50-80 ms."""

_UNFINISHED_FACTOR = 3.0
_LONGEST_FACTOR = 3.0
_SUREST_STOP = 0.65
_LEAST_STOP = 0.35
_STOP_SHARE = 0.15
_STOP_MARGIN = 0.8
"""A full stop is doubtful where the decoder is less sure of it than behind nearly all ends of this
session: below 0.8 of what 85 % of them exceed, at most below 0.65; a decoder that is often unsure tells
nothing. Measured: tiny.en is surer than 0.65 behind 97 % of TIMIT's sentences and half of the
fragments; base leaves out a quarter of TIMIT's full stops."""
_TURN_DOUBT = ((0.05, 2.5), (0.3, 1.0))
"""As above, for how much a speaker sounds done: below 0.3 at 10 % of TIMIT's ends, 43 % of pauses."""
_SURE_TURN = 0.7
_SURE_FACTOR = 0.7
_LEAST_SURE_SAMPLES = pipeline_samples(0.2)
"""Who sounds done and whose words do not contradict is not kept waiting, but never cut off sooner than
200 ms. Measured on earlier code at the same median delay of 500 ms: 53 % fewer cut-offs than plain
silence, without this 44 %. Words alone are not reason enough: there it gained nothing."""
_LEAST_PATIENCE = 1.5
_HABIT_SHARE = 0.9
_HABIT_MARGIN = 2.0
"""Twice the pause that a speaker seldom exceeds is patience enough: measured as above, it
costs hardly a cut-off and takes 30 ms from the mean delay."""

_NO_WORDS = TurnWords("", "", "", "", "")
_SENTENCE_ENDS = (".", "!", "?", "。", "！", "？", "؟", "।")
_QUESTION_ENDS = ("?", "？", "؟")
_CONTINUATIONS = ("...", "…", ",", "،", "、", ":", ";", "-", "–", "—")
_CLOSING = "\"'”’»)] "
_SENTENCE_BREAK = re.compile(r"(?<=[.!?])\s+")
_SHORTEST_CLAUSE = 4
"""Shorter ones, such as "if you like", are answers."""
_SHORTEST_DIGIT_RUN = 3
_LONG_NUMBER = 5
"""Digits in one number from which on it is being read out: a year has 4."""


@frozen
class TurnClues:
    """What is known of the open pause.

    `text` is what was heard of the utterance so far, None while it is not known. `stop_confidence` 0-1 is
    how sure the decoder is of the mark the text ends in, None where it does not say. `turn_probability`
    0-1 is how much the speaker sounds done, None without the model.
    """

    text: str | None = None
    language: str | None = None
    turn_probability: float | None = None
    stop_confidence: float | None = None


NO_CLUES = TurnClues()


class PauseHabit:
    """What a session's latest pauses and ends were like: how long this speaker thinks between words, and
    how sure this decoder is of its full stops."""

    _REMEMBERED = 20
    _ENOUGH = 4

    def __init__(self) -> None:
        self._pauses: deque[int] = deque(maxlen=self._REMEMBERED)
        self._stops: deque[float] = deque(maxlen=self._REMEMBERED)

    def add(self, pause_samples: int) -> None:
        """The speaker went on after this much silence inside an utterance."""
        self._pauses.append(pause_samples)

    def add_end(self, clues: TurnClues) -> None:
        """An utterance ended, and this was known of its last pause."""
        confidence = _stop_confidence(clues)
        if confidence is not None:
            self._stops.append(confidence)

    def quantile(self, share: float) -> int | None:
        """The pause that `share` (0-1) of theirs do not exceed; None while too few are known."""
        return _quantile(self._pauses, share) if len(self._pauses) >= self._ENOUGH else None

    @property
    def doubtful_stop(self) -> float | None:
        """The confidence 0-1 below which a full stop is doubtful; None where that cannot be said."""
        if len(self._stops) < self._ENOUGH:
            return None
        usual = min(_STOP_MARGIN * _quantile(self._stops, _STOP_SHARE), _SUREST_STOP)
        return usual if usual >= _LEAST_STOP else None


def sentence_ending(text: str, language: str | None) -> Ending:
    """How far the sentence got that a transcript ends in.

    Punctuation alone decides where the language is unknown. Whisper puts a full stop behind most
    fragments, so a last word that needs another one outweighs it.
    """
    bare = text.rstrip(_CLOSING)
    words = TURN_WORDS.get(primary_language(language) or "", _NO_WORDS)
    tokens = _tokens(bare)
    if not tokens or bare.endswith(_QUESTION_ENDS):
        return "finished"
    last = tokens[-1]
    if bare.endswith(_CONTINUATIONS) or _reads_digits(tokens, words.digits):
        return "unfinished"
    if last in words.hesitations or last in words.never_last:
        return "unfinished"
    if not bare.endswith(_SENTENCE_ENDS):
        if last in words.seldom_last:
            return "unfinished"
        # A word alone is an answer ("five"), behind which Whisper often puts no full stop.
        return "unclear" if len(tokens) > 1 else "finished"
    sentence = _SENTENCE_BREAK.split(bare)[-1]
    is_clause = "," not in sentence and len(_tokens(sentence)) >= _SHORTEST_CLAUSE
    opens_another = is_clause and _tokens(sentence)[0] in words.openers
    return "unclear" if opens_another else "finished"


def endpoint_silence_samples(
    base_samples: int,
    mode: EndpointerMode,
    response_type: ResponseType,
    clues: TurnClues,
    habit: PauseHabit,
) -> int:
    """How much silence ends the utterance, as far as is known now; at least 100 ms.

    `base_samples` is what the session asked for: behind a sentence that is finished beyond doubt the
    silence is never longer than that (times the response type's factor), and shorter where it sounds so
    too; elsewhere up to three times as long.
    The factors are rounded guesses that measured well; the figures above are theirs.
    """
    plain = _plain_samples(base_samples, response_type)
    factor = _words_factor(clues, habit) if mode != "silence" else 1.0
    if mode == "smart" and clues.turn_probability is not None:
        if factor <= 1.0 and clues.text is not None and clues.turn_probability >= _SURE_TURN:
            return _sure_samples(plain)
        factor *= _interpolated(clues.turn_probability, _TURN_DOUBT)
    factor = min(factor, _LONGEST_FACTOR)
    patience = int(plain * factor)
    longest_habit = habit.quantile(_HABIT_SHARE)
    if longest_habit is None:
        return patience
    enough = max(int(plain * _LEAST_PATIENCE), int(longest_habit * _HABIT_MARGIN))
    return min(patience, enough)


def soonest_endpoint_samples(
    base_samples: int, mode: EndpointerMode, response_type: ResponseType
) -> int:
    """The least that `endpoint_silence_samples` can be, whatever becomes known of the pause."""
    plain = _plain_samples(base_samples, response_type)
    return _sure_samples(plain) if mode == "smart" else plain


def _plain_samples(base_samples: int, response_type: ResponseType) -> int:
    return max(int(base_samples * RESPONSE_FACTORS[response_type]), SHORTEST_SILENCE_SAMPLES)


def _sure_samples(plain: int) -> int:
    return min(plain, max(int(plain * _SURE_FACTOR), _LEAST_SURE_SAMPLES))


def _words_factor(clues: TurnClues, habit: PauseHabit) -> float:
    if clues.text is not None and sentence_ending(clues.text, clues.language) == "unfinished":
        return _UNFINISHED_FACTOR
    confidence, doubtful = _stop_confidence(clues), habit.doubtful_stop
    if confidence is None or doubtful is None:
        return 1.0
    return _interpolated(confidence, ((doubtful / 2, _UNFINISHED_FACTOR), (doubtful, 1.0)))


def _stop_confidence(clues: TurnClues) -> float | None:
    """How sure the decoder is that the sentence ends here, 0-1; 0 without a full stop, None where the
    words say more or it does not say."""
    if clues.text is None:
        return None
    ending = sentence_ending(clues.text, clues.language)
    if ending == "finished":
        return clues.stop_confidence
    return 0.0 if ending == "unclear" else None


def _quantile(values: Iterable[_Number], share: float) -> _Number:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def _interpolated(value: float, line: tuple[tuple[float, float], tuple[float, float]]) -> float:
    """The factor on a line between two points, and that of the nearer one beyond them."""
    (low, at_low), (high, at_high) = line
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return at_low + share * (at_high - at_low)


def _tokens(text: str) -> list[str]:
    return [token for piece in text.split() if (token := _token(piece))]


def _token(piece: str) -> str:
    return piece.lower().replace("’", "'").strip('.,;:!?…"“”„«»()[]¿¡-–—')


def _reads_digits(tokens: Sequence[str], digit_words: frozenset[str]) -> bool:
    """Whether a text ends in digits said one by one, as in a telephone number."""
    run = 0
    for token in reversed(tokens):
        figures = re.sub(r"[-./]", "", token)
        if figures.isdigit():
            run += len(figures) if len(figures) >= _LONG_NUMBER else 1
        elif token in digit_words:
            run += 1
        else:
            break
    return run >= _SHORTEST_DIGIT_RUN
