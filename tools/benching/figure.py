"""The report as a picture: latency, processor and memory against streams."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

Figures = Mapping[str, Any]


def draw(report: Figures, path: Path) -> None:
    """Write a PNG, where streams were measured."""
    ramps = report.get("streams")
    if not ramps:
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (latency, cores, memory) = pyplot.subplots(1, 3, figsize=(15.6, 4.4))
    for ramp in ramps:
        points = ramp["points"]
        counts = [point["streams"] for point in points]
        label = f"duty {ramp['duty']:g}"
        for name, style in (("p50", ":"), ("p95", "-"), ("p99", "--")):
            values = [point["closed_to_text_ms"][name] for point in points]
            latency.plot(counts, values, style, marker=".", label=f"{label}, {name}")
        cores.plot(counts, [point["server_cores"] for point in points], marker=".", label=label)
        memory.plot(counts, [point["server_mib"] for point in points], marker=".", label=label)
    for axis, title in (
        (latency, "closed to text, ms"),
        (cores, "server's processor, cores"),
        (memory, "server's memory, MiB"),
    ):
        axis.set_xlabel("streams")
        axis.set_title(title)
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    figure.suptitle(f"{report['model']}, {report['machine']['cores']} cores")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
