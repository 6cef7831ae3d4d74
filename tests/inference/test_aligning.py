"""How English is spoken, and whose times a hypothesis gets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from attrs import field, frozen

from fasttalk_stt.inference.aligning.ctc import CtcAligner
from fasttalk_stt.inference.aligning.english import Pronunciations, spoken_words
from fasttalk_stt.inference.aligning.realign import realigned
from fasttalk_stt.inference.aligning.spans import LogProbs, WordSpan
from fasttalk_stt.inference.engine import DecodedWord, DecodeRequest, Hypothesis
from fasttalk_stt.inference.errors import EngineError, ModelNotFoundError


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        (" Hello,", "hello"),
        ("don't", "don't"),
        ("don’t!", "don't"),
        ("well-known", "well known"),
        ("7", "seven"),
        ("21st", "twenty first"),
        ("$5", "five dollars"),
        ("£1,250.", "one thousand two hundred and fifty pounds"),
        ("3.5%", "three point five percent"),
        ("007", "zero zero seven"),
        ("8103372", "eight one zero three three seven two"),
        ("1984", "nineteen eighty four"),
        ("U.S.", "u s"),
        ("R&D", "r and d"),
        ("...", ""),
        ("-", ""),
    ],
)
def test_what_is_written_is_spoken_in_words(written: str, spoken: str) -> None:
    assert " ".join(spoken_words(written)) == spoken


def test_phonemes_come_from_the_dictionary_and_are_guessed_beyond_it(tmp_path: Path) -> None:
    dictionary = tmp_path / "words.dict"
    dictionary.write_text("read R IY D\nread(2) R EH D\n'tis T IH Z\n", encoding="utf-8")
    known = Pronunciations(dictionary, lambda word: ("?", word))
    assert known.phonemes("read") == ("ɹ", "i", "d")
    assert known.phonemes("'tis") == ("t", "ɪ", "z")
    assert known.phonemes("fasttalk") == ("?", "fasttalk")


HEARD = np.zeros((50, 8), dtype=np.float32)


@frozen
class ScriptedAligner:
    spans: list[WordSpan | None] | None
    languages: frozenset[str] = frozenset({"en"})
    asked: list[list[str]] = field(factory=list)

    def load(self) -> None:
        """Nothing to load."""

    def listen(self, samples: npt.NDArray[np.float32]) -> LogProbs:
        return samples[np.newaxis]

    def align(
        self, heard: LogProbs, words: Sequence[str], duration_s: float
    ) -> list[WordSpan | None] | None:
        self.asked.append(list(words))
        return self.spans


def hypothesis(*texts: str, language: str = "en") -> Hypothesis:
    return Hypothesis(
        words=tuple(
            DecodedWord(f" {text}", 0.1 * i, 0.1 * i + 0.1, 0.9) for i, text in enumerate(texts)
        ),
        language=language,
        language_confidence=1.0,
        no_speech_probability=0.1,
        average_log_probability=-0.2,
        compression_ratio=1.0,
        compute_ms=10.0,
    )


def request(prefix_text: str = "") -> DecodeRequest:
    return DecodeRequest(samples=np.zeros(32_000, dtype=np.float32), prefix_text=prefix_text)


def times(found: Hypothesis) -> list[tuple[float, float]]:
    return [(round(word.start_s, 3), round(word.end_s, 3)) for word in found.words]


def test_words_get_the_times_of_the_aligner_and_the_prefix_is_aligned_with_them() -> None:
    spans = [WordSpan(0.0, 0.2), WordSpan(0.5, 0.8), WordSpan(0.9, 1.4)]
    aligner = ScriptedAligner(spans, asked=[])
    found = realigned(request("so"), hypothesis("one", "two"), aligner, HEARD)
    assert aligner.asked == [["so", " one", " two"]]
    assert times(found) == [(0.5, 0.8), (0.9, 1.4)]


def test_what_the_aligner_does_not_find_keeps_its_times_and_they_stay_in_order() -> None:
    aligner = ScriptedAligner([WordSpan(0.4, 0.6), None, None])
    found = realigned(request(), hypothesis("one", "-", "two"), aligner, HEARD)
    flat = [edge for span in times(found) for edge in span]
    assert flat == sorted(flat)
    assert times(found)[0] == (0.4, 0.6)
    kept = realigned(request(), hypothesis("one"), ScriptedAligner(None), HEARD)
    assert times(kept) == [(0.0, 0.1)]


def test_an_aligner_that_is_not_installed_says_what_to_do() -> None:
    aligner = CtcAligner(lambda _package: None)
    assert not aligner.is_installed
    with pytest.raises(ModelNotFoundError, match="ALIGNER=attention"):
        aligner.load()
    with pytest.raises(EngineError, match="not loaded"):
        aligner.align(HEARD, ["one"], 1.0)


def test_another_model_than_the_known_is_refused(tmp_path: Path) -> None:
    for inside in ("assets/asr_waveform_fp16.onnx", "assets/g2p_vocab.json"):
        (tmp_path / inside).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / inside).write_text("{}", encoding="utf-8")
    (tmp_path / "model/en-us").mkdir(parents=True)
    (tmp_path / "model/en-us/cmudict-en-us.dict").write_text("a AH\n", encoding="utf-8")
    with pytest.raises(EngineError, match="not the aligner that is known"):
        CtcAligner(lambda _package: tmp_path).load()
