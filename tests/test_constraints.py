"""constraints.txt pins everything that pyproject.toml names, to a version it allows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parent.parent


def _requirements() -> list[Requirement]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        named += extra
    parsed = [Requirement(text) for text in named]
    return [requirement for requirement in parsed if requirement.name != project["name"]]


def _pins() -> dict[str, str]:
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def test_every_line_is_an_exact_pin() -> None:
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[^=\s]+", line)] == []


@pytest.mark.parametrize("requirement", _requirements(), ids=str)
def test_dependency_is_pinned_to_an_allowed_version(requirement: Requirement) -> None:
    version = _pins()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version, prereleases=True)
