"""The compose files as Docker Compose itself reads them, and what they promise. Nothing is started here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fasttalk_stt.access.api_keys import digest
from fasttalk_stt.app import ENDPOINTS
from tests.deploy.programs import DEPLOY, REPOSITORY, output, program
from tests.deploy.promises import AFTER_DRAIN_S, DEFAULTS, VARIABLES

FILES = {
    "cpu": ["docker-compose.yml"],
    "gpu": ["docker-compose.yml", "docker-compose.gpu.yml"],
}


@pytest.fixture(params=sorted(FILES))
def flavour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def compose(flavour: str) -> dict[str, Any]:
    """The whole of it, merged and with all that has a default filled in."""
    command = program("docker-compose", "python -m tools.deploy_checkers")
    files = [part for name in FILES[flavour] for part in ("--file", name)]
    arguments = ["--profile", "monitoring", "config", "--format", "json"]
    # A name from outside must not change what is tested.
    whole: dict[str, Any] = json.loads(
        output([command, "--env-file", "/dev/null", *files, *arguments], STT_MODEL="")
    )
    return whole


def replicas(compose: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in compose["services"].items() if name.startswith("stt-")}


def seconds(duration: str) -> float:
    """Of a duration as Go writes it, such as 1m30s."""
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(float(n) * units[unit] for n, unit in re.findall(r"([\d.]+)([hms])", duration))


def test_there_are_two_replicas_and_both_are_the_same(compose: dict[str, Any]) -> None:
    one, other = replicas(compose).values()
    for service in (one, other):
        service.pop("volumes")
    assert one == other


def test_only_a_proxy_and_pages_for_this_host_are_published(compose: dict[str, Any]) -> None:
    published = {
        name: [(port.get("host_ip"), port["target"]) for port in service.get("ports", [])]
        for name, service in compose["services"].items()
    }
    assert {name: ports for name, ports in published.items() if ports} == {
        "haproxy": [("127.0.0.1", 8000)],
        "prometheus": [("127.0.0.1", 9090)],
        "grafana": [("127.0.0.1", 3000)],
    }


def test_the_monitoring_network_leads_nowhere(compose: dict[str, Any]) -> None:
    assert compose["networks"]["monitoring"]["internal"] is True


def test_every_container_is_hardened_and_bounded(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["logging"]["options"]["max-size"], name
        assert {"cpus", "memory", "pids"} <= service["deploy"]["resources"]["limits"].keys(), name
        assert "privileged" not in service, name


def test_every_variable_is_a_setting_with_a_value_that_is_allowed(compose: dict[str, Any]) -> None:
    for service in replicas(compose).values():
        environment = dict(service["environment"])
        assert environment.keys() - VARIABLES == set()
        # Their files exist in a container only.
        for variable in [name for name in environment if name.endswith("_FILE")]:
            del environment[variable]
        type(DEFAULTS).from_environment(environment)


def test_secrets_are_files_and_none_is_in_the_environment(compose: dict[str, Any]) -> None:
    for service in replicas(compose).values():
        mounted = {secret["target"] for secret in service["secrets"]}
        named = {value for name, value in service["environment"].items() if name.endswith("_FILE")}
        assert named == mounted
        assert (
            service["environment"].keys().isdisjoint({"API_KEYS", "JWT_SECRET", "MONITORING_TOKEN"})
        )


def test_a_replica_has_time_to_drain(compose: dict[str, Any]) -> None:
    for service in replicas(compose).values():
        drain_s = float(service["environment"]["DRAIN_TIMEOUT"])
        assert seconds(service["stop_grace_period"]) >= drain_s + AFTER_DRAIN_S
    # The proxy must not go first where all is stopped at once.
    assert seconds(compose["services"]["haproxy"]["stop_grace_period"]) >= drain_s + AFTER_DRAIN_S


def test_who_waits_for_a_replica_waits_for_its_model(compose: dict[str, Any]) -> None:
    """`up --wait` goes by the health check, and one replica goes after the other has come."""
    dockerfile = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    (of_image,) = re.findall(
        r"HEALTHCHECK .*--start-period=(\S+) .*\\\n\s+CMD (\[.*\])", dockerfile
    )
    assert "/health/ready" in ENDPOINTS
    for service in replicas(compose).values():
        check = service["healthcheck"]
        command = [
            part.replace("/health/live", "/health/ready") for part in json.loads(of_image[1])
        ]
        assert check["test"] == ["CMD", *command]
        assert seconds(check["start_period"]) >= seconds(of_image[0])
        assert seconds(check["interval"]) <= 5


def test_threads_fit_the_quota_that_the_server_does_not_see(
    compose: dict[str, Any], flavour: str
) -> None:
    for service in replicas(compose).values():
        threads = int(service["environment"]["CPU_THREADS"])
        quota = float(service["deploy"]["resources"]["limits"]["cpus"])
        assert threads == (0 if flavour == "gpu" else quota / 2)


def test_the_proxys_network_is_the_one_that_is_trusted(compose: dict[str, Any]) -> None:
    (pool,) = compose["networks"]["inner"]["ipam"]["config"]
    for service in replicas(compose).values():
        assert service["environment"]["TRUSTED_PROXIES"] == pool["subnet"]


def test_images_are_pinned_and_targets_exist(compose: dict[str, Any], flavour: str) -> None:
    dockerfile = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    for name, service in compose["services"].items():
        if name in replicas(compose):
            assert service["build"]["target"] == {"cpu": "cpu", "gpu": "cuda"}[flavour]
            assert f" AS {service['build']['target']}\n" in dockerfile
        else:
            assert re.search(r":v?\d+\.\d+\.\d+", service["image"]), service["image"]


def test_a_gpu_is_asked_for_where_it_is_wanted(compose: dict[str, Any], flavour: str) -> None:
    for service in replicas(compose).values():
        reserved = service["deploy"]["resources"].get("reservations", {}).get("devices", [])
        assert [device["capabilities"] for device in reserved] == (
            [["gpu"]] if flavour == "gpu" else []
        )


def test_what_is_mounted_is_in_the_repository(compose: dict[str, Any]) -> None:
    sources = [
        Path(volume["source"])
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
        if volume["type"] == "bind"
    ]
    assert len(sources) >= 4
    assert [str(source) for source in sources if not source.exists()] == []


def test_the_script_makes_the_secrets_that_are_read(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "secrets"
    shown = output(["sh", str(DEPLOY / "make-secrets.sh"), str(folder)])
    assert {Path(secret["file"]).name for secret in compose["secrets"].values()} == {
        file.name for file in folder.iterdir()
    }
    assert folder.stat().st_mode & 0o777 == 0o700
    (key,) = re.findall(r"ftk_[A-Za-z0-9_-]{43}", shown)
    assert digest(key) in (folder / "api_keys.toml").read_text(encoding="utf-8")
    assert key not in (folder / "api_keys.toml").read_text(encoding="utf-8")
    kept = {file: file.read_bytes() for file in folder.iterdir()}
    assert "ftk_" not in output(["sh", str(DEPLOY / "make-secrets.sh"), str(folder)])
    assert {file: file.read_bytes() for file in folder.iterdir()} == kept


def test_grafana_finds_what_is_provisioned(compose: dict[str, Any]) -> None:
    provider = (DEPLOY / "grafana/provisioning/dashboards/fasttalk-stt.yml").read_text(
        encoding="utf-8"
    )
    (folder,) = re.findall(r"path: (\S+)", provider)
    mounted = [volume["target"] for volume in compose["services"]["grafana"]["volumes"]]
    assert f"{folder}/fasttalk-stt.json" in mounted
    source = (DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text(
        encoding="utf-8"
    )
    assert "url: http://prometheus:9090" in source
