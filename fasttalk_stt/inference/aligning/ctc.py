"""Times of English words from a small model that hears phonemes: 5 MB, 15 ms for 3 s on one thread.

The model and the speller of unknown words are in the package `hama`, the dictionary in `pocketsphinx`; of
both only files are read. It blocks, is safe from several threads, and knows nothing of Whisper.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fasttalk_stt.inference.aligning.english import Pronunciations, spoken_words
from fasttalk_stt.inference.aligning.forced import Span
from fasttalk_stt.inference.aligning.spans import LogProbs, WordSpan
from fasttalk_stt.inference.aligning.words import Spelling, find_words
from fasttalk_stt.inference.errors import EngineError, ModelNotFoundError
from fasttalk_stt.inference.models import find_installed_package

Foreign = Any

MODEL_PACKAGE, MODEL_FILE = "hama", "assets/asr_waveform_fp16.onnx"
VOCABULARY_FILE = "assets/g2p_vocab.json"
MODEL_SHA256 = "a884b5ac55f8bbc00673e8cf6d2dd601aa76e5031dd85cf3de2f25b5987cd59a"
DICTIONARY_PACKAGE, DICTIONARY_FILE = "pocketsphinx", "model/en-us/cmudict-en-us.dict"
HOW_TO_INSTALL = "pip install 'fasttalk-stt[embedded]', or ALIGNER=attention"

START_LAG_S = 0.056
END_LEAD_S = 0.022
"""The model is sure of a phoneme so long after it begins, and lets go of the last so long before it ends:
medians over 695 hand-labelled words of TIMIT, which leave 23 ms of error in the median, 62 ms in 95 of
100 starts."""
LONGEST_LAST_PHONEME_S = 0.08
"""The last phoneme of a word would take the pause behind it."""
_WORD_BOUNDARY, _BLANK = "<wb>", "<blank>"
_GUESSED_WORDS = 4_096


class CtcAligner:
    """Aligns English words. `find_package` is a seam for tests."""

    languages = frozenset({"en"})

    def __init__(self, find_package: Callable[[str], Path | None] = find_installed_package) -> None:
        self._find_package = find_package
        self._session: Foreign = None
        self._pronunciations: Pronunciations | None = None
        self._symbols: dict[str, int] = {}

    @property
    def is_installed(self) -> bool:
        """Whether the packages are there; they may still not work."""
        return None not in map(self._find_package, (MODEL_PACKAGE, DICTIONARY_PACKAGE))

    def load(self) -> None:
        """Read the model and the dictionary: 0.5 s.

        Raises ModelNotFoundError where something is not installed, EngineError where it is not what
        it should be.
        """
        model = self._file(MODEL_PACKAGE, MODEL_FILE)
        vocabulary = self._file(MODEL_PACKAGE, VOCABULARY_FILE)
        dictionary = self._file(DICTIONARY_PACKAGE, DICTIONARY_FILE)
        found = hashlib.sha256(model.read_bytes()).hexdigest()
        if found != MODEL_SHA256:
            raise EngineError(
                f"{model} is not the aligner that is known (sha256 {found}): {HOW_TO_INSTALL}"
            )
        import onnxruntime  # noqa: PLC0415

        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(model), sess_options=options, providers=["CPUExecutionProvider"]
        )
        known = json.loads(vocabulary.read_text(encoding="utf-8"))["decoder"]
        symbols = [*known, _WORD_BOUNDARY, _BLANK]
        self._symbols = {symbol: index for index, symbol in enumerate(symbols)}
        self._pronunciations = Pronunciations(dictionary, self._guesser())
        self.listen(np.zeros(16_000, dtype=np.float32))

    def align(
        self, heard: LogProbs, words: Sequence[str], duration_s: float
    ) -> list[WordSpan | None] | None:
        """Where each word was spoken in what was heard in `duration_s`, in order.

        None for a word that is not spoken ("-"); None for all where they do not fit the audio.
        """
        if self._pronunciations is None:
            raise EngineError("the aligner is not loaded: call load() first")
        of_words = find_words(
            heard,
            [self._spelling(word, self._pronunciations) for word in words],
            blank=self._symbols[_BLANK],
            boundary=self._symbols[_WORD_BOUNDARY],
        )
        if of_words is None:
            return None
        frame_s = duration_s / len(heard)
        return [_word_span(spans, frame_s) if spans else None for spans in of_words]

    def _spelling(self, written: str, pronunciations: Pronunciations) -> Spelling:
        return [
            [
                self._symbols[phoneme]
                for phoneme in pronunciations.phonemes(spoken)
                if phoneme in self._symbols
            ]
            for spoken in spoken_words(written)
        ]

    def listen(self, samples: npt.NDArray[np.float32]) -> LogProbs:
        """What it hears in float32[n_samples] at 16 kHz. Raises EngineError."""
        inputs = {
            "waveform": np.ascontiguousarray(samples, dtype=np.float32)[np.newaxis],
            "waveform_lengths": np.array([len(samples)], dtype=np.int64),
        }
        try:
            log_probs, lengths = self._session.run(["log_probs", "out_lengths"], inputs)
        except Exception as error:
            raise EngineError(f"the aligner failed: {error}") from error
        n_frames = int(np.ravel(lengths)[0])
        answer: LogProbs = log_probs[0, :n_frames].astype(np.float32)
        return answer

    def _guesser(self) -> Callable[[str], tuple[str, ...]]:
        """The package's own speller, which takes some 40 ms a word, with a memory."""
        from hama.inference import G2PModel  # noqa: PLC0415

        model = G2PModel()
        longest = max(len(symbol) for symbol in self._symbols)

        @lru_cache(maxsize=_GUESSED_WORDS)
        def guess(word: str) -> tuple[str, ...]:
            return _split(model.predict(word).ipa, self._symbols, longest)

        return guess

    def _file(self, package: str, inside: str) -> Path:
        folder = self._find_package(package)
        if folder is None or not (folder / inside).is_file():
            raise ModelNotFoundError(
                f"the aligner of words needs {package}/{inside}, which is not installed: "
                f"{HOW_TO_INSTALL}"
            )
        return folder / inside


def _word_span(spans: Sequence[Span], frame_s: float) -> WordSpan:
    start_s = spans[0].start * frame_s - START_LAG_S
    last = spans[-1]
    end_s = min(last.end * frame_s, last.start * frame_s + LONGEST_LAST_PHONEME_S) + END_LEAD_S
    return WordSpan(max(start_s, 0.0), max(end_s, start_s))


def _split(ipa: str, symbols: dict[str, int], longest: int) -> tuple[str, ...]:
    """Phonemes out of a string of IPA: the longest symbol that is known, again and again."""
    phonemes = []
    at = 0
    while at < len(ipa):
        for length in range(min(longest, len(ipa) - at), 0, -1):
            if ipa[at : at + length] in symbols:
                phonemes.append(ipa[at : at + length])
                at += length
                break
        else:
            at += 1
    return tuple(phonemes)
