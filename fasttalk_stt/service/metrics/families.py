"""Makes metric families of values that are kept elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

PREFIX = "fasttalk_stt_"

Values = float | Mapping[Any, float]
"""One value, or one for each label (str), or for each combination of several (tuple of str)."""


def counter(name: str, text: str, values: Values, *labels: str) -> Metric:
    """A counter `fasttalk_stt_NAME_total`."""
    family = CounterMetricFamily(PREFIX + name, text, labels=labels)
    return _filled(family, values, labels)


def gauge(name: str, text: str, values: Values | None, *labels: str) -> Metric:
    """A gauge `fasttalk_stt_NAME`, without a sample where the value is not known."""
    family = GaugeMetricFamily(PREFIX + name, text, labels=labels)
    return family if values is None else _filled(family, values, labels)


def _filled(
    family: CounterMetricFamily | GaugeMetricFamily, values: Values, labels: Sequence[str]
) -> Metric:
    if not isinstance(values, Mapping):
        family.add_metric([], values)
        return family
    for label, value in values.items():
        family.add_metric([label] if isinstance(label, str) else list(label), value)
    return family
