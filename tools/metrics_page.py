"""The table of docs/metrics.md: every metric that a server has, with its type, labels and what it tells.

    python -m tools.metrics_page [--write]

prints the table, or puts it into the page. A test holds them equal.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import trio
from prometheus_client.core import Metric

from fasttalk_stt.composition import compose
from fasttalk_stt.guard import GuardStatistics
from fasttalk_stt.inference.fake import FakeEngine
from fasttalk_stt.inference.gpu_memory import GpuMemory
from fasttalk_stt.service.metrics.exposition import ServiceCollector
from fasttalk_stt.settings import Settings

PAGE = Path(__file__).parent.parent / "docs" / "metrics.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
SUFFIXES = {"counter": "_total"}


async def families() -> list[Metric]:
    """All metrics of a server that has just been put together."""
    services = compose(Settings(vad="webrtc"), FakeEngine(), GuardStatistics()).services
    services.observation.gpu_memory = GpuMemory(used_bytes=0, total_bytes=0)
    return list(ServiceCollector(services).collect())


def name(family: Metric) -> str:
    """As it is asked for in a query; a histogram's series add _bucket, _sum and _count to it."""
    return family.name + SUFFIXES.get(family.type, "")


def labels(family: Metric) -> list[str]:
    """Its labels, without the bound of a bucket."""
    found = {label for sample in family.samples for label in sample.labels}
    return sorted(found - {"le"})


def rows(found: list[Metric]) -> Iterator[str]:
    yield "| metric | type | labels | what it tells |"
    yield "|---|---|---|---|"
    for family in sorted(found, key=name):
        named = ", ".join(f"`{label}`" for label in labels(family))
        yield f"| `{name(family)}` | {family.type} | {named} | {family.documentation} |"


def with_table(page: str, table: str) -> str:
    """The page with this table between its marks."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    table = "\n".join(rows(trio.run(families)))
    if write:
        PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), table), encoding="utf-8")
    else:
        print(table)


if __name__ == "__main__":
    main()
