"""constraints.txt pins everything that pyproject.toml names, to a version it allows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
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


def _client_requirements() -> dict[str, Requirement]:
    lines = (REPOSITORY / "client-requirements.txt").read_text(encoding="utf-8").splitlines()
    parsed = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(each.name): each for each in parsed}


def test_a_client_s_requirements_are_the_package_s_own() -> None:
    own = {canonicalize_name(each.name): each for each in _requirements()}
    assert _client_requirements().items() <= own.items()


def test_a_client_s_requirements_are_what_it_imports() -> None:
    code = "import sys, fasttalk_stt.client; "
    code += "print(*(m.__file__ for n, m in sys.modules.items() if n.startswith('fasttalk_stt')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    trees = [ast.parse(Path(file).read_text(encoding="utf-8")) for file in done.stdout.split()]
    statements = [node for tree in trees for node in ast.walk(tree)]
    names = {
        alias.name for node in statements if isinstance(node, ast.Import) for alias in node.names
    }
    names |= {node.module or "" for node in statements if isinstance(node, ast.ImportFrom)}
    modules = {name.partition(".")[0] for name in names} - sys.stdlib_module_names
    providers = packages_distributions()
    used = {canonicalize_name(providers[name][0]) for name in modules - {"fasttalk_stt"}}
    assert used == set(_client_requirements())
