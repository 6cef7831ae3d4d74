"""The scheduler's policy over streams that nobody speaks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.simulate import main, measured_cost, simulate


def run(streams: int, **options: float) -> dict[str, object]:
    chosen = {"duty": 0.4, "seats": 1, "batch_size": 16, "seconds": 120.0, **options}
    return simulate(lambda size: 60.0 + 6.0 * (size - 1), streams=streams, **chosen)  # type: ignore[arg-type]


def test_more_streams_wait_longer_and_are_decoded_together() -> None:
    few, many = run(5), run(200)
    assert few["final_ms"]["p95"] < many["final_ms"]["p95"]  # type: ignore[index]
    assert few["mean_batch"] < many["mean_batch"]  # type: ignore[operator]
    assert 0 < few["busy"] < many["busy"]  # type: ignore[operator]


def test_finals_do_not_wait_for_drafts() -> None:
    crowded = run(300)
    assert crowded["final_ms"]["p95"] < crowded["draft_ms"]["p95"]  # type: ignore[index]
    assert crowded["fairness"] > 0.98  # type: ignore[operator]


def test_the_same_streams_give_the_same_figures() -> None:
    assert run(20) == run(20)


def test_costs_that_were_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "bench.json"
    rows = [{"batch": 1, "ms_per_segment": 80.0}, {"batch": 4, "ms_per_segment": 50.0}]
    report.write_text(json.dumps({"engine": {"batches": rows}}), encoding="utf-8")
    cost = measured_cost(report)
    assert [cost(size) for size in (1, 2, 4, 8)] == [80.0, 120.0, 200.0, 400.0]
    assert main(["--costs", str(report), "--streams", "3", "--seconds", "30"]) == 0
    assert "3 streams: final p50" in capsys.readouterr().out
    assert main(["--costs", str(tmp_path / "none.json")]) == 1
