"""The report as a picture: operating points, endpoints, and the spread of TTFS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

Figures = Mapping[str, Any]


def draw(report: Figures, path: Path) -> None:
    """Write a PNG with a panel for each part that was measured and has a curve."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = {
        "onsets": (_draw_misses, _draw_delays),
        "endpoints": (_draw_endpoints,),
        "ttfs": (_draw_ttfs,),
    }
    drawn = [draw for name, draws in panels.items() if name in report for draw in draws]
    if not drawn:
        return
    figure, axes = pyplot.subplots(1, len(drawn), figsize=(5.2 * len(drawn), 4.4), squeeze=False)
    for axis, draw_panel in zip(axes[0], drawn, strict=True):
        draw_panel(axis, report)
        axis.grid(alpha=0.3)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _draw_misses(axis: Any, report: Figures) -> None:
    def recall(point: Figures) -> float:
        return 100 * (1 - float(point["missed_5_db"]) / max(int(point["utterances"]), 1))

    _draw_points(axis, report, recall)
    axis.set_ylabel("speech noticed at 5 dB SNR, %")
    axis.set_title("onsets: recall against false onsets")


def _draw_delays(axis: Any, report: Figures) -> None:
    _draw_points(axis, report, lambda point: point["delay_ms"]["p50"])
    axis.set_ylabel("delay p50, ms of clean speech")
    axis.set_title("onsets: delay against false onsets")


def _draw_points(axis: Any, report: Figures, y: Any) -> None:
    for vad, points in report["onsets"].get("sweep", {}).items():
        xs = [point["false_onsets_per_hour"] for point in points]
        ys = [np.nan if y(point) is None else y(point) for point in points]
        (line,) = axis.plot(xs, ys, marker=".", label=vad)
        for point, at_x, at_y in zip(points, xs, ys, strict=True):
            if point["is_default"]:
                axis.plot([at_x], [at_y], marker="o", markersize=9, color=line.get_color())
    axis.set_xlabel("false onsets per hour of noise without voices (dot: the default)")
    axis.set_xscale("symlog", linthresh=1)
    axis.legend()


def _draw_endpoints(axis: Any, report: Figures) -> None:
    part = report["endpoints"]
    names = dict.fromkeys(point["endpointer"] for point in part["points"])
    for name in names:
        points = [
            (point["delay_ms"]["p50"], 100 * point["cut_share"])
            for point in part["points"]
            if point["endpointer"] == name
            and point["delay_ms"]["p50"] is not None
            and point["cut_share"] is not None
        ]
        axis.plot(*zip(*sorted(points), strict=True), marker="o", label=name)
    axis.axvline(part["budget_ms"], color="grey", linestyle=":")
    axis.set_xlabel("median delay of the endpoint, ms")
    axis.set_ylabel("pauses that ended the utterance, %")
    axis.set_title("endpoints: false cut-offs against delay")
    axis.legend()


def _draw_ttfs(axis: Any, report: Figures) -> None:
    for name in ("idle", "busy"):
        figures = report["ttfs"][name]
        if figures is None or not figures["all_ttfs_ms"]:
            continue
        values = np.sort(figures["all_ttfs_ms"])
        axis.plot(values, 100 * np.arange(1, len(values) + 1) / len(values), label=name)
    axis.set_xlabel("end of speech to final text, ms")
    axis.set_ylabel("utterances, %")
    axis.set_title("TTFS")
    axis.legend()
