"""What a model computes on, and with which numbers, where the settings leave it open."""

from __future__ import annotations

from fasttalk_stt.inference.processor import prefer_wide_instructions

AUTO = "auto"


def has_cuda() -> bool:
    """Whether CTranslate2 sees a GPU."""
    prefer_wide_instructions()
    import ctranslate2  # noqa: PLC0415  (0.3 s, and only where the device is not given)

    return bool(ctranslate2.get_cuda_device_count() > 0)


def is_gpu(device: str) -> bool:
    """Whether a model computes on a GPU; `device` as in the settings."""
    return device == "cuda" or (device == AUTO and has_cuda())


def chosen_device(device: str) -> str:
    """ "cuda" or "cpu"; `device` as in the settings."""
    return "cuda" if is_gpu(device) else "cpu"


def chosen_compute_type(compute_type: str, device: str) -> str:
    """One of CTranslate2's; both as in the settings. Where it is open, float16 on a GPU, int8 elsewhere."""
    if compute_type != AUTO:
        return compute_type
    return "float16" if is_gpu(device) else "int8"
