"""How English words are spoken: figures, amounts and symbols in words, words in phonemes.

Pure but for reading the dictionary. What is spoken here is for alignment alone: nobody reads it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from num2words import num2words

_CURRENCIES = {"$": "dollars", "£": "pounds", "€": "euros"}
_SYMBOLS = {"%": "percent", "&": "and", "@": "at", "+": "plus", "=": "equals", "#": "number"}
_PIECES = re.compile(r"[$£€]?\d+(?:,\d{3})*(?:\.\d+)?(?:st|nd|rd|th)?|[a-z']+|[%&@+=#$£€]")
_ORDINAL = re.compile(r"(\d+)(st|nd|rd|th)")
_LONG_NUMBER = 5
"""So many figures without a comma are read one by one."""
_YEARS = range(1_100, 2_000)
_SPELLED = re.compile(r"[a-z]\.(?:[a-z]\.)+")

_IPA: Mapping[str, str] = {
    "AA": "ɑ",
    "AE": "æ",
    "AH": "ə",
    "AO": "ɔ",
    "AW": "aʊ",
    "AY": "aɪ",
    "CH": "t͡ʃ",
    "DH": "ð",
    "EH": "ɛ",
    "ER": "ɝ",
    "EY": "eɪ",
    "G": "ɡ",
    "HH": "h",
    "IH": "ɪ",
    "IY": "i",
    "JH": "d͡ʒ",
    "NG": "ŋ",
    "OW": "oʊ",
    "OY": "ɔɪ",
    "R": "ɹ",
    "SH": "ʃ",
    "TH": "θ",
    "UH": "ʊ",
    "UW": "u",
    "Y": "j",
    "ZH": "ʒ",
}
"""The phonemes of CMU's dictionary in IPA, where lower case is not enough."""

Pronounce = Callable[[str], tuple[str, ...]]
"""The phonemes of a word that is in no dictionary, in IPA."""


class Pronunciations:
    """Phonemes of words, from a dictionary in CMU's format and, beyond it, from `guess`."""

    def __init__(self, dictionary: Path, guess: Pronounce) -> None:
        """Read the dictionary: 135,000 words in 0.2 s. Raises OSError where it is not there."""
        self._known = dict(_read(dictionary))
        self._guess = guess

    def phonemes(self, word: str) -> tuple[str, ...]:
        """The phonemes of one spoken word, in IPA; none for what cannot be spoken."""
        known = self._known.get(word) or self._known.get(word.strip("'"))
        if known is None:
            return self._guess(word)
        return tuple(_IPA.get(phone, phone.lower()) for phone in known.split())


def _read(dictionary: Path) -> list[tuple[str, str]]:
    entries = []
    for line in dictionary.read_text(encoding="utf-8").splitlines():
        word, _, phones = line.partition(" ")
        # Other pronunciations of a word have a number behind it: the first is the usual.
        if phones and "(" not in word:
            entries.append((word, phones))
    return entries


def spoken_words(written: str) -> list[str]:
    """The spoken words of one written word, in lower case: "$3.50" are "three point five dollars", which
    is about as long as what people say. Nothing for what is not spoken at all."""
    lower = written.lower().replace("’", "'")
    if _SPELLED.fullmatch(lower.strip(" ,!?;:\"'")):
        return [letter for letter in lower if letter.isalpha()]
    spoken: list[str] = []
    for piece in _PIECES.findall(lower):
        spoken += _piece(piece)
    return spoken


def _piece(piece: str) -> list[str]:
    currency = _CURRENCIES.get(piece[0])
    bare = piece[1:] if currency else piece
    if not bare:
        return [currency or piece]
    if not bare[0].isdigit():
        return [_SYMBOLS.get(bare, bare)]
    words = _number(bare.replace(",", ""), has_commas="," in bare)
    return [*words, currency] if currency else words


def _number(number: str, *, has_commas: bool) -> list[str]:
    ordinal = _ORDINAL.fullmatch(number)
    if ordinal:
        return _words(num2words(int(ordinal.group(1)), to="ordinal"))
    if number.isdigit() and not has_commas:
        if len(number) >= _LONG_NUMBER or (number[0] == "0" and len(number) > 1):
            return [word for figure in number for word in _words(num2words(int(figure)))]
        if int(number) in _YEARS:
            return _words(num2words(int(number), to="year"))
    return _words(num2words(number))


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text)
