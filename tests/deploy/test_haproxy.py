"""HAProxy's configuration: read by HAProxy itself, and its times compared with the server's."""

from __future__ import annotations

import re

from fasttalk_stt.app import ENDPOINTS
from fasttalk_stt.hypercorn_settings import DEFAULTS as HYPERCORN
from tests.deploy.programs import DEPLOY, output, program
from tests.deploy.promises import DEFAULTS

FILE = DEPLOY / "haproxy" / "haproxy.cfg"
TEXT = FILE.read_text(encoding="utf-8")
CONFIGURATION = "\n".join(line for line in TEXT.splitlines() if not line.lstrip().startswith("#"))
UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def time_s(name: str) -> float:
    ((amount, unit),) = re.findall(rf"^\s*{name} (\d+)(ms|s|m|h)$", CONFIGURATION, re.MULTILINE)
    return float(amount) * UNITS_S[unit]


def test_haproxy_reads_it() -> None:
    haproxy = program("haproxy", "apt-get install haproxy")
    addresses = {"STT_1": "127.0.0.1:1", "STT_2": "127.0.0.1:2"}
    # -dW: a warning is an error.
    output([haproxy, "-c", "-dW", "-f", str(FILE)], **addresses)


def test_a_conversation_is_not_cut_off_before_the_server_gives_it_up() -> None:
    assert time_s("timeout tunnel") > HYPERCORN["read_timeout"]
    assert HYPERCORN["websocket_ping_interval"] < time_s("timeout tunnel")


def test_a_reload_waits_for_the_longest_session() -> None:
    assert time_s("hard-stop-after") >= DEFAULTS.max_session_s


def test_it_asks_for_readiness_and_leaves_open_conversations_alone() -> None:
    (path,) = re.findall(r"http-check send meth GET uri (\S+)", CONFIGURATION)
    assert path == "/health/ready"
    assert path in ENDPOINTS
    assert "balance leastconn" in CONFIGURATION
    assert "shutdown-sessions" not in CONFIGURATION


def test_its_log_has_nothing_that_can_carry_a_credential() -> None:
    (log_format,) = re.findall(r'log-format "(.*)"', CONFIGURATION)
    fields = re.findall(r"%(\[[^\]]*\]|[A-Za-z]+)", log_format)
    # Path without query alone; no whole request line (%r), query (%HQ, %HU, %HP) or header.
    assert "HPO" in fields
    assert set(fields).isdisjoint({"r", "HQ", "HU", "HP", "hr", "hrl", "hs", "hsl"})
    assert [name for name in fields if name.startswith("[")] == []


def test_every_server_is_named_by_the_environment_with_a_default_of_compose() -> None:
    servers = re.findall(r'^\s*server (\S+) "\$\{(\w+)\}"$', CONFIGURATION, re.MULTILINE)
    defaults = dict(re.findall(r"^\s*presetenv (\w+) (\S+)$", CONFIGURATION, re.MULTILINE))
    assert {name: defaults[variable] for name, variable in servers} == {
        "stt-1": f"stt-1:{DEFAULTS.websocket_port}",
        "stt-2": f"stt-2:{DEFAULTS.websocket_port}",
    }
