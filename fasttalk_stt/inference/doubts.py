"""Signs that an answer is not what was said: it says the prefix again, or stops too soon.

Pure. Both come of asking for little audio with little silence behind it; `whisperx_backend` decodes
such a request again, alone and with the full context. Loops inside an answer are `loops`' business.
"""

from __future__ import annotations

from collections.abc import Sequence

from fasttalk_stt.inference.engine import DecodedWord, DecodeRequest

SHORTEST_ECHO_WORDS = 2
UNEXPLAINED_TAIL_S = 1.0
"""More audio than this behind the last word and the answer is taken to have stopped too soon. The
requests of a session end at most 0.3 s behind the last voiced frame."""


def echoes(words: Sequence[DecodedWord], prefix_text: str) -> bool:
    """Whether the new words, all of them, end or stand in the prefix already."""
    new = [_plain(word.text) for word in words]
    old = [_plain(word) for word in prefix_text.split()]
    if len(new) < SHORTEST_ECHO_WORDS:
        return False
    return any(old[i : i + len(new)] == new for i in range(len(old) - len(new) + 1))


def stops_short(words: Sequence[DecodedWord], request: DecodeRequest) -> bool:
    """Whether the last word ends long before the audio does. No words at all are no sign."""
    return bool(words) and request.duration_s - words[-1].end_s > UNEXPLAINED_TAIL_S


def _plain(word: str) -> str:
    return word.strip(" .,!?;:\"'-").casefold()
