"""What the numbers and texts of messages mean, as types: unit and range beside the Python type.

A field's annotation is the one place that says it: `Annotated[Milliseconds, "the segment's length"]`.
`schemas` reads the range, the unit and the sentence from there for the published documents; for
mypy and cattrs it is the plain type. What clients may configure is in `values`, which checks it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from attrs import frozen


@frozen(eq=False)
class Facet:
    """JSON Schema keywords that narrow a type. Compared by identity, since types are hashed."""

    keywords: Mapping[str, object]


UNIT = "x-unit"
"""The keyword that carries a quantity's unit; JSON Schema has none for it."""

MAX_COUNT = 2**53
"""The largest whole number that every JSON library keeps."""


def one_of(*choices: object) -> Facet:
    """Narrow a text to these; where the choices are known at run time only, else use a Literal."""
    return Facet({"enum": list(choices)})


Milliseconds = Annotated[int, Facet({"minimum": 0, UNIT: "ms"})]
"""A duration, or a position on the session's clock (0 = its first sample)."""

FractionalMilliseconds = Annotated[float, Facet({"minimum": 0, UNIT: "ms"})]
"""What was measured by the wall clock."""

Seconds = Annotated[float, Facet({"minimum": 0, UNIT: "s"})]
Share = Annotated[float, Facet({"minimum": 0, "maximum": 1})]
Ratio = Annotated[float, Facet({"minimum": 0})]
Count = Annotated[int, Facet({"minimum": 0})]
Ordinal = Annotated[int, Facet({"minimum": 1})]

Stamp = Annotated[
    str,
    Facet(
        {
            "format": "date-time",
            "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$",
        }
    ),
]
"""RFC 3339 in UTC with milliseconds and Z; see `stamps`."""
