"""Schemas of classes: what the annotations say, and nothing left open."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Literal

import attrs
import pytest
from attrs import field, frozen

from fasttalk_stt.protocol.config import SessionConfig
from fasttalk_stt.protocol.quantities import Milliseconds, Share, one_of
from fasttalk_stt.protocol.schemas import SchemaBook, without_default
from fasttalk_stt.protocol.server_messages import OMIT_NONE
from fasttalk_stt.protocol.values import VALUE


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@frozen
class Part:
    """A part."""

    weight: float


@frozen
class Whole:
    """A whole, that is
    told in two lines.

    And more.
    """

    at: Annotated[Milliseconds, "where"]
    parts: tuple[Part, ...]
    part: Annotated[Part | None, "the first"] = None
    note: Annotated[str | None, "left out"] = field(default=None, metadata=OMIT_NONE)
    size: int = 3


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (str, {"type": "string"}),
        (str | None, {"type": ["string", "null"]}),
        (str | int | float | None, {"type": ["string", "number", "null"]}),
        (Share, {"type": "number", "minimum": 0, "maximum": 1}),
        (Share | None, {"type": ["number", "null"], "minimum": 0, "maximum": 1}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal["a"] | None, {"type": ["string", "null"], "enum": ["a", None]}),
        (Literal[True], {"type": "boolean", "enum": [True]}),
        (
            Annotated[str, one_of("x"), "why"],
            {"type": "string", "enum": ["x"], "description": "why"},
        ),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (Mapping[str, object], {"type": "object"}),
        (Colour, {"type": "string", "enum": ["red", "blue"]}),
        (Part, {"$ref": "#/components/schemas/Part"}),
        (
            Annotated[Part, "why"],
            {"allOf": [{"$ref": "#/components/schemas/Part"}], "description": "why"},
        ),
    ],
    ids=str,
)
def test_schema_of_a_type(annotation: Any, schema: dict[str, object]) -> None:
    assert SchemaBook().of_type(annotation) == schema


@pytest.mark.parametrize("annotation", [object, bytes, tuple[int, str], Literal[1], Any, set[int]])
def test_what_has_no_schema_is_refused(annotation: Any) -> None:
    with pytest.raises(TypeError):
        SchemaBook().of_type(annotation)


def test_schema_of_a_class() -> None:
    book = SchemaBook()
    assert book.refer(Whole) == {"$ref": "#/components/schemas/Whole"}
    assert list(book.schemas) == ["Whole", "Part"]
    whole = book.schemas["Whole"]
    assert whole["description"] == "A whole, that is told in two lines.\n\nAnd more."
    assert whole["required"] == ["at", "parts", "part", "size"]
    assert whole["properties"]["at"] == {
        "type": "integer", "minimum": 0, "x-unit": "ms", "description": "where",
    }  # fmt: skip
    assert whole["properties"]["note"] == {"type": "string", "description": "left out"}
    assert whole["properties"]["part"]["anyOf"][1] == {"type": "null"}


def test_what_a_client_may_leave_out_has_its_default() -> None:
    read = SchemaBook().object_of(Whole, required=without_default)
    assert read["required"] == ["at", "parts"]
    assert read["properties"]["size"]["default"] == 3


@pytest.mark.parametrize("name", [field.name for field in attrs.fields(SessionConfig)])
def test_sentences_and_schemas_have_the_same_limits(name: str) -> None:
    value = attrs.fields_dict(SessionConfig)[name].metadata[VALUE]
    for keyword in ("minimum", "maximum", "maxLength", "maxItems"):
        if keyword in (schema := value.schema()):
            assert f"{schema[keyword]:g}" in value.allowed
    for choice in schema.get("enum", ()):
        assert choice in value.allowed
