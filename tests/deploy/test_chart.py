"""The Helm chart as Helm renders it, checked by Kubernetes' own schemas and by what the server promises."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import kubernetes_validate
import pytest
import yaml

from fasttalk_stt.app import ENDPOINTS, OPENAI_ENDPOINTS
from fasttalk_stt.service.openai.upload import MAX_OVERHEAD_BYTES
from tests.deploy.programs import CHART, DEPLOY, output, program
from tests.deploy.promises import AFTER_DRAIN_S, DEFAULTS, USER_ID, VARIABLES

Manifest = dict[str, Any]
Render = Callable[..., dict[str, Manifest]]

VARIANTS = {
    "as it comes": {},
    "everything": {
        "autoscaling.enabled": "true",
        "serviceMonitor.enabled": "true",
        "ingress.enabled": "true",
        "ingress.tlsSecret": "certificate",
        "gpu.count": "1",
        "runtimeClassName": "nvidia",
        "access.apiKeysSecret": "keys",
        "access.jwksSecret": "jwks",
        "access.monitoringTokenSecret": "token",
        "modelCache.createClaim": "true",
        "modelCache.storageClassName": "shared",
        "imagePullSecrets[0].name": "registry",
        "networkPolicy.allowDownloads": "false",
        "networkPolicy.clients[0].podSelector.matchLabels.app": "backend",
        "nodeSelector.gpu": "h100",
        "tolerations[0].key": "nvidia.com/gpu",
        "podAnnotations.note": "text",
        "serviceMonitor.labels.release": "prometheus",
        "drainTimeoutSeconds": "60",
        "settings.MESSAGE_RATE_LIMIT": "1000000",
        "settings.TRACES": "otlp",
        "settings.OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "networkPolicy.moreEgress[0].ports[0].port": "4318",
    },
    "no extras": {
        "networkPolicy.enabled": "false",
        "podDisruptionBudget.enabled": "false",
        "modelCache.existingClaim": "models",
        "rollout.maxSurge": "0",
        "rollout.maxUnavailable": "25%",
    },
}

OF_THE_CHART = {
    # Ports and the drain, which other parts of the chart must agree with.
    *("WEBSOCKET_HOST", "WEBSOCKET_PORT", "MONITORING_PORT", "DRAIN_TIMEOUT", "MODEL_CACHE"),
    # Secrets, and files that a value alone cannot bring.
    *("API_KEYS", "API_KEYS_FILE", "JWT_SECRET", "JWT_SECRET_FILE", "JWT_PUBLIC_KEY_FILE"),
    *("JWT_JWKS_FILE", "MONITORING_TOKEN", "MONITORING_TOKEN_FILE", "BACKCHANNELS_FILE"),
    # The root is read-only, and a cluster collects what a pod prints.
    *("LOG_FILE", "LOG_FILE_MAX_MB"),
}
"""Settings that are not to be set in `settings`."""


@pytest.fixture(scope="module")
def helm() -> str:
    return program("helm", "python -m tools.deploy_checkers")


@pytest.fixture(scope="module")
def render(helm: str) -> Render:
    """Renders with values set, and returns the manifests by `Kind/name`."""

    @cache
    def template(*sets: str) -> dict[str, Manifest]:
        text = output([helm, "template", "stt", str(CHART), *sets])
        manifests = [manifest for manifest in yaml.safe_load_all(text) if manifest]
        return {f"{one['kind']}/{one['metadata']['name']}": one for one in manifests}

    return lambda values: template(
        *(part for pair in values.items() for part in ("--set", "=".join(pair)))
    )


@pytest.fixture(params=sorted(VARIANTS))
def manifests(request: pytest.FixtureRequest, render: Render) -> dict[str, Manifest]:
    return render(VARIANTS[request.param])


def the(kind: str, manifests: dict[str, Manifest]) -> Manifest:
    (found,) = [one for one in manifests.values() if one["kind"] == kind]
    return found


def pod(manifests: dict[str, Manifest]) -> Manifest:
    specification: Manifest = the("Deployment", manifests)["spec"]["template"]["spec"]
    return specification


def container(manifests: dict[str, Manifest]) -> Manifest:
    (only,) = pod(manifests)["containers"]
    found: Manifest = only
    return found


def test_helm_lint_has_nothing_to_say(helm: str) -> None:
    output([helm, "lint", "--strict", str(CHART)])


# The oldest that the chart allows, and the newest whose schemas are here.
@pytest.mark.parametrize("version", ["1.25", "1.31", "1.37"])
def test_kubernetes_takes_every_manifest(manifests: dict[str, Manifest], version: str) -> None:
    checked = 0
    for manifest in manifests.values():
        # The Prometheus operator's, of which there is no schema here.
        if manifest["kind"] != "ServiceMonitor":
            kubernetes_validate.validate(manifest, version, strict=True)
            checked += 1
    assert checked >= 5


@pytest.mark.parametrize(
    "value",
    [
        "settings.MODLE=base",
        "settings.DRAIN_TIMEOUT=5",
        "settings.API_KEYS=secret",
        "replicas=-1",
        "drainTimeoutSeconds=601",
        "autoscaling.metric=other_metric",
        "netwrokPolicy.enabled=true",
        "gpu.count=many",
    ],
)
def test_a_value_that_is_wrong_is_refused(helm: str, value: str) -> None:
    with pytest.raises(AssertionError, match="values don't meet the specifications"):
        output([helm, "template", "stt", str(CHART), "--set", value])


def test_the_schema_knows_every_setting_of_the_server() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    listed = schema["properties"]["settings"]["propertyNames"]["anyOf"][0]["enum"]
    expected = sorted(VARIABLES - OF_THE_CHART)
    # The whole list, to be pasted.
    assert listed == expected, json.dumps(expected)
    assert OF_THE_CHART <= VARIABLES


def test_what_the_pod_is_told_is_allowed(manifests: dict[str, Manifest]) -> None:
    data = {
        name: value
        for name, value in the("ConfigMap", manifests)["data"].items()
        if not name.startswith("OTEL_")
    }
    assert data.keys() - VARIABLES == set()
    for variable in [name for name in data if name.endswith("_FILE")]:
        del data[variable]
    settings = type(DEFAULTS).from_environment(data)
    ports = {port["name"]: port["containerPort"] for port in container(manifests)["ports"]}
    assert ports == {"ws": settings.websocket_port, "monitoring": settings.monitoring_port}


def test_a_pod_has_time_to_drain(manifests: dict[str, Manifest]) -> None:
    drain_s = float(the("ConfigMap", manifests)["data"]["DRAIN_TIMEOUT"])
    command = container(manifests)["lifecycle"]["preStop"]["exec"]["command"]
    assert command[0] == "sleep"
    grace_s = pod(manifests)["terminationGracePeriodSeconds"]
    assert grace_s >= float(command[1]) + drain_s + AFTER_DRAIN_S


def test_probes_ask_what_they_should(manifests: dict[str, Manifest]) -> None:
    asked = {
        kind: container(manifests)[f"{kind}Probe"]["httpGet"]
        for kind in ("startup", "readiness", "liveness")
    }
    assert {kind: probe["path"] for kind, probe in asked.items()} == {
        "startup": "/health/live",
        "readiness": "/health/ready",
        "liveness": "/health/live",
    }
    for probe in asked.values():
        assert probe["path"] in ENDPOINTS
        assert probe["port"] == "ws"


def test_the_first_start_has_time_to_download_a_model(render: Render) -> None:
    probe = container(render({"startupSeconds": "1201"}))["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 1201


def test_a_pod_meets_the_restricted_standard(manifests: dict[str, Manifest]) -> None:
    of_pod = pod(manifests)["securityContext"]
    assert of_pod["runAsNonRoot"] is True
    assert of_pod["runAsUser"] == of_pod["runAsGroup"] == of_pod["fsGroup"] == USER_ID
    assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(manifests)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    allowed = {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}
    assert {kind for volume in pod(manifests)["volumes"] for kind in volume} <= allowed | {"name"}
    assert pod(manifests)["automountServiceAccountToken"] is False
    assert the("ServiceAccount", manifests)["automountServiceAccountToken"] is False


def test_every_place_that_is_written_is_mounted(manifests: dict[str, Manifest]) -> None:
    mounts = {
        mount["mountPath"]: mount["name"]
        for mount in container(manifests)["volumeMounts"]
        if not mount.get("readOnly")
    }
    assert mounts.keys() == {"/models", "/tmp"}  # noqa: S108
    assert set(mounts.values()) <= {volume["name"] for volume in pod(manifests)["volumes"]}


def test_secrets_are_files_where_the_settings_look_for_them(render: Render) -> None:
    manifests = render(VARIANTS["everything"])
    data = the("ConfigMap", manifests)["data"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container(manifests)["volumeMounts"]}
    files = {
        f"{mounts[volume['name']]}/{item['path']}": volume["secret"]["secretName"]
        for volume in pod(manifests)["volumes"]
        if "secret" in volume
        for item in volume["secret"]["items"]
    }
    assert {files[data[name]] for name in data if name.endswith("_FILE")} == {
        *("keys", "jwks", "token")
    }
    # Without values none is asked for.
    assert [name for name in the("ConfigMap", render({}))["data"] if name.endswith("_FILE")] == []


def test_9091_is_for_the_monitoring_namespace_alone(render: Render) -> None:
    manifests = render({"networkPolicy.monitoringNamespace": "prometheus"})
    rules = the("NetworkPolicy", manifests)["spec"]["ingress"]
    by_port = {rule["ports"][0]["port"]: rule for rule in rules}
    assert by_port.keys() == {"ws", "monitoring"}
    assert by_port["monitoring"]["from"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "prometheus"}}}
    ]
    public = manifests["Service/stt-fasttalk-stt"]["spec"]
    assert [port["name"] for port in public["ports"]] == ["ws"]
    assert "Ingress" not in {one["kind"] for one in manifests.values()}


def test_the_ingress_has_clients_pages_and_not_the_operators(render: Render) -> None:
    (rule,) = the("Ingress", render({"ingress.enabled": "true"}))["spec"]["rules"]
    paths = [(path["path"], path["pathType"]) for path in rule["http"]["paths"]]

    def leads_in(page: str) -> bool:
        return any(
            page == path or (kind == "Prefix" and page.startswith(path.rstrip("/") + "/"))
            for path, kind in paths
        )

    pages = {"/", "/demo/demo.js", *ENDPOINTS, *OPENAI_ENDPOINTS}
    assert {page for page in pages if not leads_in(page)} == {"/stats", "/metrics"}
    assert not leads_in("//stats")


def test_a_whole_recording_passes_the_ingress_and_the_example_of_nginx(render: Render) -> None:
    annotations = the("Ingress", render({"ingress.enabled": "true"}))["metadata"]["annotations"]
    page = (DEPLOY.parent / "docs" / "deployment.md").read_text(encoding="utf-8")
    limits = [
        annotations["nginx.ingress.kubernetes.io/proxy-body-size"],
        *re.findall(r"client_max_body_size (\S+);", page),
    ]
    assert len(limits) == 2
    for limit in limits:
        assert limit.endswith("m")
        body_bytes = int(limit.removesuffix("m")) * 2**20
        assert body_bytes >= DEFAULTS.max_upload_bytes + MAX_OVERHEAD_BYTES


def test_every_proxy_waits_as_long_for_a_recordings_text(render: Render) -> None:
    annotations = the("Ingress", render({"ingress.enabled": "true"}))["metadata"]["annotations"]
    page = (DEPLOY.parent / "docs" / "deployment.md").read_text(encoding="utf-8")
    haproxy = (DEPLOY / "haproxy" / "haproxy.cfg").read_text(encoding="utf-8")
    (minutes,) = re.findall(r"timeout server (\d+)m", haproxy)
    waits_s = [
        annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"],
        *re.findall(r"proxy_read_timeout (\d+)s;", page),
    ]
    assert waits_s == [str(int(minutes) * 60)] * 2


def test_a_pod_asks_only_where_it_may(render: Render) -> None:
    def ports(values: dict[str, str]) -> list[int]:
        rules = the("NetworkPolicy", render(values))["spec"]["egress"] or []
        return [port["port"] for rule in rules for port in rule["ports"]]

    assert ports({}) == [53, 53, 443]
    assert ports({"networkPolicy.allowDownloads": "false"}) == []
    assert ports(VARIANTS["everything"]) == [53, 53, 4318]


def test_every_selector_finds_the_pods(manifests: dict[str, Manifest]) -> None:
    labels = the("Deployment", manifests)["spec"]["template"]["metadata"]["labels"].items()
    for manifest in manifests.values():
        if manifest["kind"] == "Service":
            assert manifest["spec"]["selector"].items() <= labels
        if manifest["kind"] in ("Deployment", "PodDisruptionBudget"):
            assert manifest["spec"]["selector"]["matchLabels"].items() <= labels
        if manifest["kind"] == "NetworkPolicy":
            assert manifest["spec"]["podSelector"]["matchLabels"].items() <= labels


def test_prometheus_finds_each_replica_and_its_token(render: Render) -> None:
    manifests = render(VARIANTS["everything"])
    monitor = the("ServiceMonitor", manifests)["spec"]
    found = [
        one
        for one in manifests.values()
        if one["kind"] == "Service"
        and monitor["selector"]["matchLabels"].items() <= one["metadata"]["labels"].items()
    ]
    assert [one["spec"]["clusterIP"] for one in found] == ["None"]
    # The alerts go by the job.
    jobs = re.findall(r'job="([^"]*)"', (DEPLOY / "prometheus/alerts.yml").read_text("utf-8"))
    assert set(jobs) == {found[0]["metadata"]["labels"].get(monitor.get("jobLabel"))}
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in found[0]["spec"]["ports"]}
    assert endpoint["authorization"]["credentials"] == {"name": "token", "key": "token"}


def test_scaling_is_the_autoscalers_alone_where_it_is_on(render: Render) -> None:
    manifests = render({"autoscaling.enabled": "true"})
    assert "replicas" not in the("Deployment", manifests)["spec"]
    scaler = the("HorizontalPodAutoscaler", manifests)["spec"]
    assert scaler["scaleTargetRef"]["name"] == the("Deployment", manifests)["metadata"]["name"]
    assert the("Deployment", render({}))["spec"]["replicas"] == 2


def test_the_metric_that_is_scaled_by_is_one_that_the_server_has() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    metrics = (DEPLOY.parent / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert re.search(rf"\b{values['autoscaling']['metric']}\b", metrics)


def test_the_adapter_serves_the_metric_that_is_scaled_by() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    adapter = yaml.safe_load((CHART.parent / "adapter-values.yaml").read_text(encoding="utf-8"))
    (rule,) = adapter["rules"]["custom"]
    assert f"^{values['autoscaling']['metric']}$" in rule["seriesQuery"]


def test_a_gpu_is_asked_for_where_it_is_wanted(render: Render) -> None:
    with_gpu = container(render({"gpu.count": "1"}))["resources"]["limits"]
    assert with_gpu["nvidia.com/gpu"] == 1
    assert "nvidia.com/gpu" not in container(render({}))["resources"]["limits"]


def test_new_settings_make_new_pods(render: Render) -> None:
    def checksum(values: dict[str, str]) -> str:
        template = the("Deployment", render(values))["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/settings"])

    assert checksum({}) != checksum({"settings.MODEL": "base"})


def test_threads_fit_the_quota_that_the_server_does_not_see(render: Render) -> None:
    def threads(values: dict[str, str]) -> int:
        return int(the("ConfigMap", render(values))["data"]["CPU_THREADS"])

    quota = float(container(render({}))["resources"]["limits"]["cpu"])
    assert threads({}) == quota / 2
    assert threads({"gpu.count": "1"}) == 0
    assert threads({"gpu.count": "1", "settings.CPU_THREADS": "3"}) == 3


def test_a_pod_with_a_gpu_has_the_memory_that_compose_gives_it(render: Render) -> None:
    compose = (DEPLOY.parent / "docker-compose.gpu.yml").read_text(encoding="utf-8")
    (gib,) = set(re.findall(r"\$\{STT_MEMORY:-(\d+)g\}", compose))
    assert container(render({"gpu.count": "1"}))["resources"]["limits"]["memory"] == f"{gib}Gi"
    own = {"gpu.count": "1", "gpu.resources.limits.memory": "16Gi"}
    assert container(render(own))["resources"]["limits"]["memory"] == "16Gi"
    assert container(render({}))["resources"]["limits"]["memory"] == "4Gi"
