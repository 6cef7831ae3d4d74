"""The answer of `/metrics`."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen
from prometheus_client import ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder

from fasttalk_stt.service.metrics.counters import counters
from fasttalk_stt.service.metrics.state import state
from fasttalk_stt.service.services import Services


@frozen
class ServiceCollector:
    """All metrics of one server, in the sense of prometheus_client."""

    services: Services

    def collect(self) -> Iterable[Metric]:
        observation = self.services.observation
        yield from state(self.services)
        yield from counters(observation.totals)
        for family in observation.registry.collect():
            # When each series was begun is the process's start, which is told once.
            family.samples = [each for each in family.samples if each.name != _created(family)]
            yield family
        # Standard names: process_resident_memory_bytes, process_cpu_seconds_total and others.
        yield from ProcessCollector(registry=None).collect()


def _created(family: Metric) -> str:
    return f"{family.name}_created"


def metrics_page(services: Services, accept: str) -> tuple[bytes, str]:
    """The metrics and their content type, in the format that suits an Accept header.

    Takes 2 ms, most of it text that no thread would write without holding the loop back.
    """
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):
        # As of a version that is no number.
        encode, content_type = choose_encoder("")
    return encode(ServiceCollector(services)), content_type
