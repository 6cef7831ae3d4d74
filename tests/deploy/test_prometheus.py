"""What operators are given for Prometheus and Grafana asks for metrics that exist, and works.

`promtool` (Debian's package prometheus) is asked itself. Where it is missing those tests are skipped, but not
in CI.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import yaml
from prometheus_client import generate_latest

from tests.deploy.programs import output
from tools import metrics_page

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
RULE_TESTS = DEPLOY / "prometheus" / "alerts_test.yml"
DASHBOARD = DEPLOY / "grafana" / "fasttalk-stt.json"

TARGET_LABELS = {"instance", "job", "le"}
"""What Prometheus adds to each series, and the bound of a bucket."""
OTHER_SERIES = {"up"}
"""Prometheus' own."""


@functools.cache
def series() -> dict[str, set[str]]:
    """Every series of a server by its name, with the names of its labels."""
    found: dict[str, set[str]] = {}
    for family in trio.run(metrics_page.families):
        named = set(metrics_page.labels(family))
        if family.type == "histogram":
            for suffix in ("_bucket", "_sum", "_count"):
                found[family.name + suffix] = named
        else:
            found[metrics_page.name(family)] = named
    return found


def promtool(*arguments: str, text: str | None = None) -> str:
    """What promtool says, which must be content."""
    program = shutil.which("promtool")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("promtool is not installed")
        pytest.skip("promtool is not installed (Debian: prometheus)")
    done = subprocess.run(
        [program, *arguments], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return found


def dashboard_queries() -> Iterator[tuple[str, str]]:
    """Each query of the dashboard with the title of its panel, as Prometheus would be sent it."""
    for panel in panels():
        for target in panel.get("targets", ()):
            expression = target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
            yield panel["title"], expression


def unknown_names(expression: str) -> set[str]:
    """Series and labels that the expression asks for and no server has."""
    without_values = re.sub(r'"[^"]*"', '""', expression)
    unknown = set()
    asked = re.findall(r"\b((?:fasttalk_stt|process)_\w+|up)\b(?:\{([^}]*)\})?", without_values)
    assert asked, expression
    known_labels = set(TARGET_LABELS)
    for name, matchers in asked:
        if name not in OTHER_SERIES | series().keys():
            unknown.add(name)
        known_labels |= series().get(name, set())
        wanted = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", matchers))
        unknown |= wanted - series().get(name, set()) - TARGET_LABELS
    for grouped in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", without_values):
        unknown |= {label.strip() for label in grouped.split(",")} - known_labels
    return unknown


@pytest.mark.parametrize(
    ("expression", "unknown"),
    [
        ("sum(fasttalk_stt_sessions)", set()),
        ("fasttalk_stt_frames_received", {"fasttalk_stt_frames_received"}),
        ('rate(fasttalk_stt_errors_total{kind="x"}[5m])', {"kind"}),
        ("sum by (code, kind) (fasttalk_stt_errors_total)", {"kind"}),
    ],
)
def test_unknown_names_are_found(expression: str, unknown: set[str]) -> None:
    assert unknown_names(expression) == unknown


def test_every_query_of_the_dashboard_asks_for_what_exists() -> None:
    queries = list(dashboard_queries())
    assert len(queries) > 40
    wrong = {title: names for title, query in queries if (names := unknown_names(query))}
    assert wrong == {}


def test_legends_of_the_dashboard_name_labels_that_their_queries_keep() -> None:
    for panel in panels():
        for target in panel.get("targets", ()):
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                kept = re.findall(r"by \(([^)]*)\)", target["expr"])
                # Without an aggregation a series keeps all its labels.
                assert not kept or any(label in each for each in kept), target


def test_every_alert_asks_for_what_exists_and_says_what_to_do() -> None:
    for rule in rules():
        assert unknown_names(rule["expr"]) == set(), rule["alert"]
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]
        assert len(rule["annotations"]["runbook"]) > 80


def test_no_alert_waits_for_what_cannot_be_scraped() -> None:
    """A model that has failed ends the process, and its metrics with it: SttDown tells."""
    waiting = [rule["alert"] for rule in rules() if 'state="failed"' in rule["expr"]]
    assert waiting == []
    (down,) = [rule for rule in rules() if rule["alert"] == "SttDown"]
    assert "model_failed" in down["annotations"]["runbook"]


def test_every_alert_is_tested() -> None:
    tests = yaml.safe_load(RULE_TESTS.read_text(encoding="utf-8"))["tests"]
    firing = {
        test["name"]
        for test in tests
        for asked in test["promql_expr_test"]
        if asked["exp_samples"] and f'alertname="{test["name"]}"' in asked["expr"]
    }
    assert firing == {rule["alert"] for rule in rules()}


def test_series_of_the_rules_tests_exist() -> None:
    tests = yaml.safe_load(RULE_TESTS.read_text(encoding="utf-8"))["tests"]
    for test in tests:
        for given in test["input_series"]:
            assert unknown_names(given["series"]) == set(), test["name"]


def test_the_page_lists_every_metric() -> None:
    page = metrics_page.PAGE.read_text(encoding="utf-8")
    table = "\n".join(metrics_page.rows(trio.run(metrics_page.families)))
    # If not: python -m tools.metrics_page --write
    assert metrics_page.with_table(page, table) == page


def test_queries_of_the_page_ask_for_what_exists() -> None:
    page = metrics_page.PAGE.read_text(encoding="utf-8")
    queries = re.findall(r"`((?:histogram_quantile|rate)\([^`]*)`", page)
    assert len(queries) >= 3
    for query in queries:
        assert unknown_names(query) == set(), query


def test_promtool_accepts_the_rules_and_the_configuration() -> None:
    promtool("check", "rules", str(RULES))
    configuration = RULES.with_name("prometheus.yml")
    promtool("check", "config", "--syntax-only", str(configuration))
    assert yaml.safe_load(configuration.read_text(encoding="utf-8"))["rule_files"] == [RULES.name]


def test_the_command_for_the_operator_makes_a_resource_of_the_rules() -> None:
    page = (DEPLOY.parent / "docs" / "deployment.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"```sh\n(\{ printf .*?\n\}) \| kubectl apply", page, re.DOTALL)
    made = yaml.safe_load(output(["sh", "-c", command]))
    assert (made["apiVersion"], made["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert made["spec"] == yaml.safe_load(RULES.read_text(encoding="utf-8"))


def test_alerts_fire_when_they_should_and_only_then() -> None:
    promtool("test", "rules", str(RULE_TESTS))


def test_promtool_can_read_every_query_of_the_dashboard(tmp_path: Path) -> None:
    recorded = [
        {"record": f"panel:query:{number}", "expr": query}
        for number, (_, query) in enumerate(dashboard_queries())
    ]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    assert f"{len(recorded)} rules found" in promtool("check", "rules", str(file))


def test_promtool_finds_nothing_wrong_with_the_metrics() -> None:
    class Found:
        def collect(self) -> list[Any]:
            return trio.run(metrics_page.families)

    assert promtool("check", "metrics", text=generate_latest(Found()).decode()) == ""
