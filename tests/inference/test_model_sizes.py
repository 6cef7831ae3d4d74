"""Which models are smaller: by name, and never one that knows fewer languages."""

from __future__ import annotations

import pytest

from fasttalk_stt.inference.model_sizes import smaller_models

INSTALLED = (
    "tiny.en",
    "base",
    "small",
    "distil-large-v3",
    "medium.en",
    "large-v3-turbo",
    "large-v3",
)


@pytest.mark.parametrize(
    ("name", "smaller"),
    [
        ("large-v3", ("large-v3-turbo", "small", "base")),
        ("large-v3-turbo", ("small", "base")),
        ("medium.en", ("distil-large-v3", "small", "base", "tiny.en")),
        ("base", ()),
        ("base.en", ("tiny.en",)),
        ("tiny", ()),
        ("my-own-model", ()),
        ("enlarged-turbot", ()),
        ("/models/base/large-v3", ("large-v3-turbo", "small", "base")),
        ("/models/large/mine", ()),
    ],
)
def test_smaller_models(name: str, smaller: tuple[str, ...]) -> None:
    assert smaller_models(name, INSTALLED) == smaller
