"""The real aligner of words: times follow the audio, and every word has some."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fasttalk_stt.inference.aligning.ctc import CtcAligner
from fasttalk_stt.inference.aligning.realign import WordAligner
from fasttalk_stt.inference.aligning.spans import WordSpan
from fasttalk_stt.inference.aligning.wav2vec2 import Wav2Vec2Aligner
from fasttalk_stt.inference.engine import DecodeRequest
from fasttalk_stt.inference.errors import ModelNotFoundError
from fasttalk_stt.inference.models import resolve_model
from fasttalk_stt.inference.whisperx_backend import WhisperXBackend
from tools.scoring import read_manifest

pytestmark = pytest.mark.integration

SAMPLES = Path(__file__).parents[2] / "samples"
FRAME_S = 0.02


@pytest.fixture(scope="module")
def aligner() -> CtcAligner:
    aligner = CtcAligner()
    aligner.load()
    return aligner


@pytest.fixture(scope="module")
def speech() -> tuple[np.ndarray, list[str]]:
    entry = min(
        (entry for entry in read_manifest(SAMPLES) if entry.text and entry.seconds > 2),
        key=lambda entry: entry.seconds,
    )
    audio, _ = soundfile.read(entry.path, dtype="float32")
    return audio, (entry.text or "").split()


def times(
    aligner: WordAligner, audio: np.ndarray, words: Sequence[str]
) -> list[WordSpan | None] | None:
    return aligner.align(aligner.listen(audio), words, len(audio) / 16_000)


def test_times_follow_the_audio(aligner: CtcAligner, speech: tuple[np.ndarray, list[str]]) -> None:
    audio, words = speech
    spans = times(aligner, audio, words)
    later = times(aligner, np.concatenate((np.zeros(16_000, np.float32), audio)), words)
    assert spans is not None
    assert later is not None
    moved = [
        b.start_s - a.start_s
        for a, b in zip(spans, later, strict=True)
        if a is not None and b is not None
    ]
    assert len(moved) == len(words)
    assert np.median(moved) == pytest.approx(1.0, abs=2 * FRAME_S)


def test_other_words_are_not_found_in_it(
    aligner: CtcAligner, speech: tuple[np.ndarray, list[str]]
) -> None:
    audio, words = speech
    others = ["xylophone", "zigzag", "quixotic", "jukebox"] * (len(words) // 4 + 1)
    assert times(aligner, audio, others) is None


def test_a_word_in_no_dictionary_is_spelled(
    aligner: CtcAligner, speech: tuple[np.ndarray, list[str]]
) -> None:
    audio, words = speech
    spans = times(aligner, audio, [*words[:-1], "Fasttalkish"])
    assert spans is not None
    assert spans[-1] is not None


def test_an_engine_with_it_times_every_word(
    aligner: CtcAligner, speech: tuple[np.ndarray, list[str]]
) -> None:
    audio, _ = speech
    model = resolve_model("tiny.en")
    exact = WhisperXBackend(model, device="cpu", aligner=aligner)
    exact.load()
    request = DecodeRequest(samples=audio, language="en")
    [aligned] = exact.decode([request])
    [draft] = exact.decode([DecodeRequest(samples=audio, language="en", provisional=True)])
    assert aligned.text == draft.text
    assert [w.start_s for w in aligned.words] != [w.start_s for w in draft.words]
    edges = [edge for word in aligned.words for edge in (word.start_s, word.end_s)]
    assert edges == sorted(edges)
    assert edges[-1] <= len(audio) / 16_000


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Wav2Vec2Aligner:
    """A wav2vec2 model of the real kind that has learnt nothing: none comes as a package."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("wav2vec2")
    symbols = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'"]
    (folder / "vocab.json").write_text(json.dumps({each: i for i, each in enumerate(symbols)}))
    transformers.Wav2Vec2Processor(
        transformers.Wav2Vec2FeatureExtractor(),
        transformers.Wav2Vec2CTCTokenizer(str(folder / "vocab.json")),
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(
        vocab_size=len(symbols),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(16,) * 7,
        num_feat_extract_layers=7,
    )
    transformers.Wav2Vec2ForCTC(config).save_pretrained(folder)
    aligner = Wav2Vec2Aligner("en", model=str(folder))
    aligner.load()
    return aligner


def test_letters_give_every_word_its_place_in_order(
    letters: Wav2Vec2Aligner, speech: tuple[np.ndarray, list[str]]
) -> None:
    audio, words = speech
    spans = times(letters, audio, [*words, "42", "-"])
    assert spans is not None
    *timed, dash = spans
    assert dash is None
    places = [span for span in timed if span is not None]
    assert len(places) == len(words) + 1
    assert all(span.start_s < span.end_s <= len(audio) / 16_000 + FRAME_S for span in places)
    assert [span.start_s for span in places] == sorted(span.start_s for span in places)


def test_letters_that_do_not_fit_have_no_place(letters: Wav2Vec2Aligner) -> None:
    assert times(letters, np.zeros(800, np.float32), ["unfathomable"] * 9) is None
    assert times(letters, np.zeros(16_000, np.float32), ["-"]) is None


def test_an_aligner_that_cannot_be_had_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="ALIGN_MODEL"):
        Wav2Vec2Aligner("en", model=str(tmp_path)).load()
    with pytest.raises(ModelNotFoundError, match="'xx'"):
        Wav2Vec2Aligner("xx").load()
