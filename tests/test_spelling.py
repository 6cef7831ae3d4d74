"""Names of variables that look like a setting's."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from fasttalk_stt.settings import Settings
from fasttalk_stt.spelling import misspelt, warn_of_misspelt


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("API_KEY", "API_KEYS"),
        ("VAD_SENSITIVTY", "VAD_SENSITIVITY"),
        ("vad_sensitivity", "VAD_SENSITIVITY"),
        ("LOG_FILES", "LOG_FILE"),
        ("WEBSOCKET_MAX_CONNECTION", "WEBSOCKET_MAX_CONNECTIONS"),
    ],
)
def test_slips_are_found(name: str, meant: str) -> None:
    assert misspelt({name: "x", "PATH": "/bin"}) == {name: meant}


def test_no_setting_and_no_variable_of_the_system_is_taken_for_a_slip() -> None:
    system = ["LANG", "LC_ALL", "HOME", "PATH", "PWD", "OLDPWD", "SHELL", "LOGNAME", "USER", "TERM"]
    system += ["HOSTNAME", "TMPDIR", "TZ", "PORT", "CUDA_VISIBLE_DEVICES", "HF_HOME", "HF_TOKEN"]
    system += [
        "KUBERNETES_SERVICE_HOST",
        "KUBERNETES_PORT_443_TCP",
        "OMP_NUM_THREADS",
        "VIRTUAL_ENV",
    ]
    system += ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME", "SPEECH_CORPUS", "LOG_DIR"]
    system += ["MONITORING_HOST", "ENDPOINT", "ENDPOINTS", "MODEL_NAME", "MODEL_PATH", "DEVICE_ID"]
    assert misspelt(dict.fromkeys([*Settings.variables(), *system], "x")) == {}
    assert misspelt({"API_KEY": " "}) == {}, "empty is unset"


def test_a_warning_names_both_and_no_value() -> None:
    with capture_logs() as lines:
        warn_of_misspelt({"API_KEY": "secret", "BATCH_SIZE": "4"})
    (line,) = lines
    assert line["log_level"] == "warning"
    assert (line["variable"], line["did_you_mean"]) == ("API_KEY", "API_KEYS")
    assert "secret" not in str(line)
