"""JSON Schemas of attrs classes, made of their annotations, their values and their docstrings.

Draft 7, as AsyncAPI has it, in the part of it that newer drafts (OpenAPI 3.1) read alike; so nothing
stands beside a `$ref`. A type that this module has no schema for raises, rather than being left
open: a document that says nothing of a field is worse than a start that fails.
"""

from __future__ import annotations

import builtins
import collections.abc
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from types import NoneType
from typing import Any, TypeAlias, get_args, get_origin, get_type_hints

import attrs

from fasttalk_stt.protocol.quantities import Facet
from fasttalk_stt.protocol.server_messages import OMIT_NONE
from fasttalk_stt.protocol.values import VALUE, nullable

Schema = dict[str, Any]
Field: TypeAlias = "attrs.Attribute[Any]"

_SCALARS: Mapping[Any, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    NoneType: "null",
}


def always_written(field: Field) -> bool:
    """What the server's classes require: their JSON has every field but those left out for None."""
    return not OMIT_NONE.items() <= field.metadata.items()


def without_default(field: Field) -> bool:
    """What a client's classes require."""
    return field.default is attrs.NOTHING


class SchemaBook:
    """The schemas of one document, each once, under its class's name."""

    def __init__(self) -> None:
        self.schemas: dict[str, Schema] = {}

    def refer(self, cls: type) -> Schema:
        """Refer to the schema of a class that the server writes, and have it in the book."""
        if cls.__name__ not in self.schemas:
            self.schemas[cls.__name__] = {}  # Its place, before those of its parts.
            self.schemas[cls.__name__] = self.object_of(cls)
        return reference(cls.__name__)

    def add(self, name: str, schema: Schema) -> Schema:
        """Put a schema into the book under a name of its own; returns the reference."""
        self.schemas[name] = schema
        return reference(name)

    def object_of(
        self,
        cls: type,
        *,
        only: Callable[[Field], bool] = lambda field: True,
        required: Callable[[Field], bool] = always_written,
    ) -> Schema:
        """The schema of an instance's JSON."""
        hints = get_type_hints(cls, include_extras=True)
        properties: dict[str, Schema] = {}
        needed = []
        for field in filter(only, attrs.fields(cls)):
            schema = properties[field.name] = self._of_field(field, hints[field.name])
            if required(field):
                needed.append(field.name)
            elif isinstance(field.default, str | int | float):
                schema["default"] = field.default
        return object_schema(properties, required=needed, description=described(cls))

    def of_type(self, annotation: Any) -> Schema:
        """The schema of a value of that type; raises TypeError where none is known."""
        if annotation in _SCALARS:
            return {"type": _SCALARS[annotation]}
        if isinstance(annotation, type):
            return self._of_class(annotation)
        args = get_args(annotation)
        match get_origin(annotation):
            case typing.Annotated:
                schema = self._of_annotated(args)
            case typing.Literal:
                schema = _of_choices(args)
            case typing.Union | types.UnionType:
                schema = self._of_union(args)
            case builtins.tuple if args[1:] == (...,):
                schema = {"type": "array", "items": self.of_type(args[0])}
            case collections.abc.Mapping:
                schema = {"type": "object"}
            case _:
                raise TypeError(f"no schema is known for {annotation!r}")
        return schema

    def _of_class(self, cls: type) -> Schema:
        if issubclass(cls, Enum):
            return _of_choices(tuple(each.value for each in cls))
        if attrs.has(cls):
            return self.refer(cls)
        raise TypeError(f"no schema is known for {cls!r}")

    def _of_field(self, field: Field, annotation: Any) -> Schema:
        # Where the values are checked they are narrower than their type, which still has the meaning,
        # and classes that must be in the book.
        schema = self.of_type(annotation)
        if VALUE in field.metadata:
            checked = field.metadata[VALUE].schema()
            schema = with_description(checked, schema.get("description"))
        if not always_written(field):
            schema = _never_null(schema)
        return schema

    def _of_annotated(self, args: tuple[Any, ...]) -> Schema:
        schema = self.of_type(args[0])
        for extra in args[1:]:
            if isinstance(extra, Facet):
                schema = _narrowed(schema, extra)
            elif isinstance(extra, str):
                schema = with_description(schema, extra)
        return schema

    def _of_union(self, args: Iterable[Any]) -> Schema:
        schemas = [self.of_type(arg) for arg in args]
        if {"type": "null"} in schemas and len(schemas) == 2:
            schemas.remove({"type": "null"})
            return nullable(schemas[0])
        if all(set(schema) == {"type"} for schema in schemas):
            types = {schema["type"]: None for schema in schemas}
            if "number" in types:
                types.pop("integer", None)
            return {"type": list(types)}
        return {"anyOf": schemas}


def reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def object_schema(
    properties: Mapping[str, Schema],
    *,
    required: Iterable[str] = (),
    description: str | None = None,
) -> Schema:
    """The schema of an object; fields beyond these are allowed, as everywhere in the protocol."""
    schema: Schema = {"type": "object"}
    if description:
        schema["description"] = description
    schema["properties"] = dict(properties)
    if named := list(required):
        schema["required"] = named
    return schema


def described(cls: type) -> str:
    """A class's docstring as one paragraph for each of its own."""
    paragraphs = inspect.cleandoc(cls.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _of_choices(choices: tuple[Any, ...]) -> Schema:
    kinds = {type(choice) for choice in choices}
    if kinds == {bool}:
        return {"type": "boolean", "enum": list(choices)}
    if kinds != {str}:
        raise TypeError(f"choices of {kinds} have no schema")
    return {"type": "string", "enum": list(choices)}


def _never_null(schema: Schema) -> Schema:
    """The schema of what is left out rather than null."""
    kinds = [kind for kind in schema["type"] if kind != "null"]
    return {**schema, "type": kinds if len(kinds) > 1 else kinds[0]}


def _narrowed(schema: Schema, facet: Facet) -> Schema:
    # The annotation says whether it may be null, and a facet only what it is otherwise.
    return {**schema, **facet.keywords, "type": schema["type"]}


def with_description(schema: Schema, description: str | None) -> Schema:
    """The schema with that description; None: as it is."""
    if description is None:
        return schema
    # Draft 7 ignores whatever stands beside a `$ref`.
    schema = {"allOf": [schema]} if "$ref" in schema else schema
    return {**schema, "description": description}
