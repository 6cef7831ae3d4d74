"""The real engine on the real samples: text, times, figures, mixed batches, bad input.

It needs the extra `embedded` and no network. The library's import alone takes 6 to 14 s.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import trio
from attrs import evolve

from fasttalk_stt.inference.engine import SAMPLE_RATE_HZ, DecodeRequest, Hypothesis
from fasttalk_stt.inference.errors import EngineError
from fasttalk_stt.inference.models import resolve_model
from fasttalk_stt.inference.quality import is_speech
from fasttalk_stt.inference.whisperx_backend import WhisperXBackend
from fasttalk_stt.inference.whisperx_engine import WhisperXEngine
from tools.scoring import CorpusEntry, read_manifest, total_wer, word_errors

pytestmark = pytest.mark.integration

SAMPLES = Path(__file__).parents[2] / "samples"

Backends = Callable[[str], WhisperXBackend]


@pytest.fixture(scope="module")
def backends() -> Backends:
    """Loaded models by name, each loaded once for this module."""
    loaded: dict[str, WhisperXBackend] = {}

    def get(name: str) -> WhisperXBackend:
        if name not in loaded:
            backend = WhisperXBackend(resolve_model(name), device="cpu", cpu_threads=2)
            backend.load()
            loaded[name] = backend
        return loaded[name]

    return get


@pytest.fixture(params=["tiny.en", "base"])
def backend(request: pytest.FixtureRequest, backends: Backends) -> WhisperXBackend:
    return backends(request.param)


@pytest.fixture(scope="module")
def samples() -> dict[str, CorpusEntry]:
    return {entry.id: entry for entry in read_manifest(SAMPLES)}


def read(entry: CorpusEntry) -> npt.NDArray[np.float32]:
    audio, rate_hz = soundfile.read(entry.path, dtype="float32")
    assert rate_hz == SAMPLE_RATE_HZ
    return np.asarray(audio, dtype=np.float32)


def request_for(entry: CorpusEntry, **options: object) -> DecodeRequest:
    return evolve(DecodeRequest(samples=read(entry), language="en"), **options)


def check_promises(hypothesis: Hypothesis, duration_s: float) -> None:
    """What `engine` promises of any hypothesis."""
    assert "".join(word.text for word in hypothesis.words).strip() == hypothesis.text
    now_s = 0.0
    for word in hypothesis.words:
        assert now_s <= word.start_s < word.end_s
        assert 0.0 <= word.confidence <= 1.0
        now_s = word.end_s
    assert now_s <= duration_s + 1e-6
    assert 0.0 <= hypothesis.no_speech_probability <= 1.0
    assert hypothesis.average_log_probability <= 0.0
    assert hypothesis.compute_ms > 0


def test_samples_are_understood(backend: WhisperXBackend, samples: dict[str, CorpusEntry]) -> None:
    scores = []
    for entry in samples.values():
        [hypothesis] = backend.decode([request_for(entry)])
        check_promises(hypothesis, entry.seconds + 0.01)
        assert len(hypothesis.words) == len(hypothesis.text.split())
        assert is_speech(hypothesis), f"{entry.id}: {hypothesis}"
        scores.append(word_errors(entry.text or "", hypothesis.text))
    # Clean synthetic speech: the bound is loose, a broken decoder is far beyond it.
    assert total_wer(scores) < 0.12


def test_batch_gives_what_single_requests_give(
    backend: WhisperXBackend, samples: dict[str, CorpusEntry]
) -> None:
    requests = [request_for(samples[name]) for name in ("question", "yes", "order_number", "date")]
    together = backend.decode(requests)
    for request, hypothesis in zip(requests, together, strict=True):
        [alone] = backend.decode([request])
        assert hypothesis.text == alone.text
        assert [word.start_s for word in hypothesis.words] == pytest.approx(
            [word.start_s for word in alone.words], abs=0.1
        )


def test_mixed_batch(backends: Backends, samples: dict[str, CorpusEntry]) -> None:
    """Languages, vocabulary, a prefix and nothing at all, in one call."""
    prefix = "What will the weather be"
    requests = [
        request_for(samples["date"]),
        request_for(samples["date"], language=None),
        request_for(samples["date"], language="es"),
        request_for(samples["vocabulary"], vocabulary=("Katherine Schneider", "Kubernetes")),
        request_for(samples["question"], prefix_text=prefix),
        DecodeRequest(samples=np.zeros(0, dtype=np.float32)),
    ]
    english, detected, spanish, vocabulary, after_prefix, empty = backends("base").decode(requests)
    assert english.language_confidence == 1.0
    assert (detected.language, detected.text) == ("en", english.text)
    assert 0.3 < detected.language_confidence <= 1.0
    assert (spanish.language, spanish.language_confidence) == ("es", 1.0)
    # The language reached the decoder, which does not believe in it.
    assert spanish.average_log_probability < english.average_log_probability - 0.05
    assert "Katherine Schneider" in vocabulary.text
    assert "Kubernetes" in vocabulary.text
    assert after_prefix.text.lower().startswith("like in paris")
    assert empty.words == ()


def test_prefix_keeps_the_times_of_the_whole(
    backend: WhisperXBackend, samples: dict[str, CorpusEntry]
) -> None:
    request = request_for(samples["question"])
    [whole] = backend.decode([request])
    prefix = "".join(word.text for word in whole.words[:5])
    [rest] = backend.decode([evolve(request, prefix_text=prefix)])
    assert rest.text.split() == whole.text.split()[5:]
    assert [word.start_s for word in rest.words] == pytest.approx(
        [word.start_s for word in whole.words[5:]], abs=0.15
    )


def test_figures_have_times(backend: WhisperXBackend, samples: dict[str, CorpusEntry]) -> None:
    [hypothesis] = backend.decode([request_for(samples["order_amount"])])
    amounts = [word for word in hypothesis.words if "23" in word.text or "$" in word.text]
    assert amounts, hypothesis.text
    check_promises(hypothesis, samples["order_amount"].seconds)


def test_english_only_model_hears_english(
    backends: Backends, samples: dict[str, CorpusEntry]
) -> None:
    tiny = backends("tiny.en")
    assert tiny.supported_languages == {"en"}
    for language in (None, "de", "no such code"):
        [hypothesis] = tiny.decode([request_for(samples["yes"], language=language)])
        assert (hypothesis.language, hypothesis.language_confidence) == ("en", 1.0)


def test_unknown_language_is_detected(backends: Backends, samples: dict[str, CorpusEntry]) -> None:
    base = backends("base")
    assert {"en", "de", "zh"} <= base.supported_languages
    [hypothesis] = base.decode([request_for(samples["date"], language="no such code")])
    assert hypothesis.language == "en"
    assert hypothesis.language_confidence < 1.0


@pytest.mark.parametrize("n_samples", [0, 1, 100, 1600])
def test_tiny_requests_do_no_harm(backend: WhisperXBackend, n_samples: int) -> None:
    samples = np.full(n_samples, 0.01, dtype=np.float32)
    [hypothesis] = backend.decode([DecodeRequest(samples=samples, language="en")])
    check_promises(hypothesis, n_samples / SAMPLE_RATE_HZ)


@pytest.mark.parametrize("seconds", [1, 3, 30])
def test_silence_and_hum_say_nothing(backend: WhisperXBackend, seconds: int) -> None:
    n_samples = seconds * SAMPLE_RATE_HZ
    rng = np.random.default_rng(1)
    hiss = rng.normal(0, 0.01, n_samples).astype(np.float32)
    hum = (0.1 * np.sin(2 * np.pi * 50 * np.arange(n_samples) / SAMPLE_RATE_HZ)).astype(np.float32)
    silence = np.zeros(n_samples, dtype=np.float32)
    for samples in (silence, hiss, hum):
        [hypothesis] = backend.decode([DecodeRequest(samples=samples, language="en")])
        assert not is_speech(hypothesis), hypothesis


def test_too_long_a_request_is_refused(backend: WhisperXBackend) -> None:
    samples = np.zeros(31 * SAMPLE_RATE_HZ, dtype=np.float32)
    with pytest.raises(EngineError, match="at most 30 s"):
        backend.decode([DecodeRequest(samples=samples)])


def test_no_requests(backend: WhisperXBackend) -> None:
    assert backend.decode([]) == []


def test_decoding_before_loading_is_refused() -> None:
    backend = WhisperXBackend(resolve_model("tiny.en"))
    assert backend.supported_languages == frozenset()
    with pytest.raises(EngineError, match="load"):
        backend.decode([DecodeRequest(samples=np.zeros(16000, dtype=np.float32))])


def test_weights_that_are_none_are_an_engine_error(tmp_path: Path) -> None:
    whole = resolve_model("tiny.en").path
    for file in whole.iterdir():
        if file.name != "model.bin":
            (tmp_path / file.name).symlink_to(file)
    (tmp_path / "model.bin").write_bytes(b"no weights")
    with pytest.raises(EngineError, match="loading the model"):
        WhisperXBackend(resolve_model(str(tmp_path)), device="cpu").load()


async def test_engine_never_blocks_the_event_loop(samples: dict[str, CorpusEntry]) -> None:
    engine = WhisperXEngine(resolve_model("tiny.en"), device="cpu", cpu_threads=1)
    longest_pause_s = 0.0

    async def watch() -> None:
        nonlocal longest_pause_s
        while True:
            before_s = trio.current_time()
            await trio.sleep(0.01)
            longest_pause_s = max(longest_pause_s, trio.current_time() - before_s)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await engine.load()
        [hypothesis] = await engine.decode([request_for(samples["hello_world"])])
        nursery.cancel_scope.cancel()
    assert engine.model_name == "tiny.en"
    assert engine.supported_languages == {"en"}
    assert "hello world" in hypothesis.text.lower()
    # Python code in the thread shares the interpreter lock; a load on the loop takes seconds.
    assert longest_pause_s < 1.0
