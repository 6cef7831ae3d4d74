"""The Dockerfile: linted, and what it promises compared with the server. Nothing is built here."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from fasttalk_stt.app import ENDPOINTS
from tests.deploy.programs import REPOSITORY, output, program
from tests.deploy.promises import AFTER_DRAIN_S, DEFAULTS, USER_ID, VARIABLES

TEXT = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
OF_LIBRARIES = {
    *("PATH", "LD_LIBRARY_PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"),
    *("HF_HOME", "TORCH_HOME", "MPLCONFIGDIR"),
    *("NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_REQUIRE_CUDA"),
    *("PIP_DISABLE_PIP_VERSION_CHECK", "PIP_NO_CACHE_DIR", "PIP_PROGRESS_BAR"),
}
"""Variables of others; all else that is set must be a setting of the server."""


def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments), comments left out and continued lines joined."""
    lines = [line for line in TEXT.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    pairs = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(name.upper(), " ".join(rest)) for name, *rest in pairs]


def stages() -> dict[str, list[tuple[str, str]]]:
    """What each stage adds to the one that it is built from."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, arguments in instructions():
        if name == "FROM":
            found[arguments.split(" AS ")[1]] = []
        elif found:
            found[list(found)[-1]].append((name, arguments))
    return found


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = program("hadolint", "it comes with the extra dev")
    output([hadolint, "--failure-threshold", "style", "Dockerfile"])


def test_the_default_target_is_for_a_gpu() -> None:
    assert list(stages())[-2:] == ["cpu", "cuda"]


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_a_target_runs_as_the_unprivileged_user(target: str) -> None:
    assert stages()[target][-1] == ("USER", f"{USER_ID}:{USER_ID}")
    assert f"useradd --system --uid {USER_ID}" in TEXT


def test_bases_are_pinned_to_a_version() -> None:
    bases = [default for name, default in instructions() if name == "ARG" and "IMAGE=" in default]
    assert len(bases) == 1
    assert re.fullmatch(r"BASE_IMAGE=[a-z/]+:\d+\.\d+\S*", bases[0])
    froms = [base.split()[0] for name, base in instructions() if name == "FROM"]
    assert set(froms) - set(stages()) == {"${BASE_IMAGE}"}


def test_the_ports_are_those_of_the_settings() -> None:
    (exposed,) = [arguments for name, arguments in instructions() if name == "EXPOSE"]
    assert exposed.split() == [str(DEFAULTS.websocket_port), str(DEFAULTS.monitoring_port)]


def test_the_health_check_asks_whether_the_process_lives() -> None:
    (check,) = [arguments for name, arguments in instructions() if name == "HEALTHCHECK"]
    (path,) = re.findall(r"'(/health[a-z/]*)'", check)
    assert path == "/health/live"
    assert path in ENDPOINTS
    assert f"'WEBSOCKET_PORT', '{DEFAULTS.websocket_port}'" in check


def test_every_variable_is_a_setting_or_a_librarys() -> None:
    named = [
        variable
        for name, arguments in instructions()
        if name == "ENV"
        for variable in re.findall(r"([A-Z_]+)=", arguments)
    ]
    assert "MODEL_CACHE" in named
    assert set(named) - VARIABLES - OF_LIBRARIES == set()


def test_the_stop_that_is_advised_is_longer_than_the_drain() -> None:
    (advised_s,) = re.findall(r"docker stop --time (\d+)", TEXT)
    assert float(advised_s) >= DEFAULTS.drain_timeout_s + AFTER_DRAIN_S


def test_what_is_copied_reaches_the_builder() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = {line[1:] for line in ignored if line.startswith("!")}
    copied: set[str] = set()
    for name, arguments in instructions():
        if name == "COPY" and not arguments.startswith("--from"):
            copied |= {source.removeprefix("./") for source in arguments.split()[:-1]}
    assert copied == let_through
    assert [name for name in copied if not (REPOSITORY / name).exists()] == []


def test_the_version_of_the_label_is_the_packages() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = [
        default for name, default in instructions() if name == "ARG" and "VERSION" in default
    ]
    assert versions == [f"VERSION={project['version']}"] * 2
    chart = Path(REPOSITORY / "deploy/helm/fasttalk-stt/Chart.yaml").read_text(encoding="utf-8")
    assert f'appVersion: "{project["version"]}"' in chart


def test_the_packages_of_the_cpu_index_are_pinned() -> None:
    constraints = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8")
    (pattern,) = re.findall(r"grep -E '([^']+)' constraints.txt", TEXT)
    found = [line for line in constraints.splitlines() if re.match(pattern, line)]
    assert [line.split("==")[0] for line in found] == ["torch", "torchaudio", "torchvision"]


def test_no_bytecode_hangs_on_the_time_of_its_source() -> None:
    runs = [arguments for name, arguments in instructions() if name == "RUN"]
    installing = [run for run in runs if "pip install" in run]
    assert len(installing) == 4
    for run in installing:
        assert run.count("pip install") == run.count("--no-compile")
        assert "compileall -qq -f -j 0 --invalidation-mode unchecked-hash /opt/fasttalk/lib" in run
