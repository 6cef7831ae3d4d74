"""The engine that the settings ask for: model, aligner, fall-backs, and faults where somebody rehearses."""

from __future__ import annotations

import structlog

from fasttalk_stt.inference.aligning.ctc import CtcAligner
from fasttalk_stt.inference.aligning.realign import WordAligner
from fasttalk_stt.inference.aligning.wav2vec2 import Wav2Vec2Aligner
from fasttalk_stt.inference.device import AUTO, chosen_compute_type, chosen_device, has_cuda, is_gpu
from fasttalk_stt.inference.engine import Engine
from fasttalk_stt.inference.errors import EngineError, ModelNotFoundError
from fasttalk_stt.inference.fallback import FallbackEngine, UnloadableEngine
from fasttalk_stt.inference.faulty import FaultPlan, Faults, FaultyEngine
from fasttalk_stt.inference.model_sizes import smaller_models
from fasttalk_stt.inference.models import ResolvedModel, chosen_model, list_models, resolve_model
from fasttalk_stt.inference.whisperx_engine import WhisperXEngine
from fasttalk_stt.protocol.config import primary_language
from fasttalk_stt.settings import Settings

_log = structlog.get_logger(__name__)


def make_engine(settings: Settings, *, faults: FaultPlan | None = None) -> Engine:
    """Make the engine of the configured model, unloaded; with `faults` the calls of its models fail by them.

    Raises ModelNotFoundError when there is no such model, or none of a MODEL_FALLBACKS that is set, and
    EngineError for DEVICE=cuda where no GPU can be used.
    """
    if settings.device == "cuda" and not has_cuda():
        raise EngineError(
            "DEVICE=cuda: no GPU can be used here: install NVIDIA's driver (in a container: --gpus all), or "
            "unset DEVICE"
        )
    model = _resolve(settings, settings.model)
    models = [model, *(_resolve(settings, name) for name in _fallbacks(settings, model))]
    aligner = _aligner(settings)
    engines: list[UnloadableEngine] = [_engine(settings, each, aligner) for each in models]
    if faults is not None:
        _log.warning("faults_are_injected", plan=str(faults), advice="this server fails on purpose")
        shared = Faults(faults)
        engines = [FaultyEngine(engine, shared) for engine in engines]
    return FallbackEngine(engines) if len(engines) > 1 else engines[0]


def choices(settings: Settings) -> dict[str, str]:
    """What the engine is going to take for MODEL, DEVICE, COMPUTE_TYPE and ALIGNER where they are "auto".

    Raises ImportError where a library is missing.
    """
    chosen = {}
    if settings.model.strip().lower() == AUTO:
        chosen["MODEL"] = chosen_model(device=settings.device, cache_directory=settings.model_cache)
    if settings.device == AUTO:
        chosen["DEVICE"] = chosen_device(AUTO)
    if settings.compute_type == AUTO:
        chosen["COMPUTE_TYPE"] = chosen_compute_type(AUTO, settings.device)
    if settings.aligner == AUTO:
        chosen["ALIGNER"] = "attention" if _aligner(settings) is None else "ctc"
    return chosen


def _engine(
    settings: Settings, model: ResolvedModel, aligner: WordAligner | None
) -> UnloadableEngine:
    return WhisperXEngine(
        model,
        device=settings.device,
        compute_type=settings.compute_type,
        cpu_threads=settings.cpu_threads,
        audio_context=settings.audio_context,
        aligner=aligner,
    )


def _resolve(settings: Settings, name: str) -> ResolvedModel:
    return resolve_model(name, device=settings.device, cache_directory=settings.model_cache)


def _fallbacks(settings: Settings, model: ResolvedModel) -> tuple[str, ...]:
    """Names of the models to fall back to, the largest first. Without being told, only where memory can
    run out on its own: on a GPU."""
    if settings.model_fallbacks is not None:
        return settings.model_fallbacks
    if not is_gpu(settings.device):
        return ()
    try:
        listings = list_models(device=settings.device, cache_directory=settings.model_cache)
    except ModelNotFoundError:
        return ()
    installed = [listing.name for listing in listings if listing.state == "installed"]
    return smaller_models(model.name, installed)


def _aligner(settings: Settings) -> WordAligner | None:
    """With "auto" the one that is installed, if any; the words of other languages are timed by the
    decoder's attention in any case."""
    kind = settings.aligner
    if kind == "wav2vec2":
        language = primary_language(settings.language) or "en"
        device = chosen_device(settings.device)
        return Wav2Vec2Aligner(language, device=device, model=settings.align_model)
    aligner = CtcAligner()
    wanted = kind == "ctc" or (kind == "auto" and aligner.is_installed)
    return aligner if wanted else None
