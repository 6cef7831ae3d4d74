"""Makes docs/protocol.md, the readable page of the protocol, from the document at `/asyncapi.json`.

    python -m tools.make_protocol_docs

Nothing of the protocol is said here: what the page should say better is a docstring or an annotation in
`fasttalk_stt/protocol`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fasttalk_stt import __version__
from fasttalk_stt.protocol.asyncapi import AUDIO, CHANNEL, asyncapi_document
from fasttalk_stt.protocol.quantities import MAX_COUNT

PAGE = Path(__file__).parents[1] / "docs" / "protocol.md"

MANY = 10
"""Choices that need a table of their own: error codes."""

_TYPE_WORDS = {"integer": "whole number", "boolean": "true or false", "object": "object"}
_EVERYWHERE = {"type", "metadata"}
"""Fields of every message of the server, told once."""
_ELSEWHERE = {
    "RequestedConfig": "[below](#session_config)",
    "ChangedConfig": "those marked C [below](#session_config)",
    "SessionConfig": "all of [those below](#session_config)",
    "Resume": "[below](#resume)",
}
"""Objects with a section of their own."""


class Page:
    """The page, made of one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._channel = document["channels"][CHANNEL]
        self._schemas = document["components"]["schemas"]
        self._messages = document["components"]["messages"]
        self._told: dict[str, str] = {}
        """Objects whose fields are on the page already, and of which message."""

    def text(self) -> str:
        parts = (
            self._opening(),
            self._connection(),
            self._client_side(),
            self._configuration(),
            self._server_side(),
            self._errors(),
        )
        return "\n\n".join(paragraph for part in parts for paragraph in part) + "\n"

    def _opening(self) -> Iterator[str]:
        yield "# The protocol"
        yield (
            "<!-- Made by `python -m tools.make_protocol_docs` of the message classes; do not edit. -->"
        )
        yield self._document["info"]["description"]
        yield (
            "For programs the same is an [AsyncAPI](https://www.asyncapi.com) document, which a server "
            "shows at `/asyncapi.json`; the HTTP side is at `/openapi.json`. How the messages play together "
            "is in the [guide](protocol-guide.md)."
        )

    def _connection(self) -> Iterator[str]:
        channel = self._channel
        yield "## Connection"
        for server in self._document["servers"].values():
            yield f"`{server['protocol']}://{server['host']}{channel['address']}`: {server['description']}"
        yield channel["description"]
        yield "Credentials, one of:"
        schemes = self._document["components"]["securitySchemes"].values()
        yield "\n".join(f"- {scheme['description']}" for scheme in schemes)
        yield "In the address:"
        query = channel["bindings"]["ws"]["query"]["properties"]
        yield _table(
            ("parameter", "value", "meaning"),
            ((f"`{name}`", self._type(each), each["description"]) for name, each in query.items()),
        )
        limits = channel["x-limits"]
        yield (
            f"A text message has at most {limits['text_chars']} characters, and objects and lists at most "
            f"{limits['text_depth']} deep in each other."
        )
        yield "The server closes with:"
        yield _table(
            ("code", "meaning"),
            ((f"`{code}`", meaning) for code, meaning in channel["x-close-codes"].items()),
        )

    def _client_side(self) -> Iterator[str]:
        audio = self._messages[AUDIO]
        yield "## What a client sends"
        yield f"### Audio\n\n{audio['summary']} {audio['description']}"
        for operation in self._document["operations"].values():
            if operation["action"] == "receive" and "reply" in operation:
                (name,) = map(_last, operation["messages"])
                answers = " or ".join(
                    f"[`{each}`](#{each})" for each in map(_last, operation["reply"]["messages"])
                )
                yield from self._message(name, without={"type"}, also=f"Answer: {answers}.")

    def _server_side(self) -> Iterator[str]:
        yield "## What the server sends"
        yield "Every message has its `type`, and in `metadata`:"
        yield self._fields(self._schemas["Metadata"])
        for name, message in self._messages.items():
            schema = self._schemas.get(_target(message["payload"]), {"properties": {}})
            if schema["properties"].keys() >= _EVERYWHERE:
                yield from self._message(name, without=_EVERYWHERE)

    def _message(self, name: str, *, without: set[str], also: str = "") -> Iterator[str]:
        message = self._messages[name]
        schema = self._schemas[_last(message["payload"])]
        yield f"### {name}"
        yield message["summary"]
        if "description" in message:
            yield message["description"]
        if len(spellings := schema["properties"]["type"]["enum"]) > 1:
            yield "Also accepted as " + ", ".join(f"`{each}`" for each in spellings[1:]) + "."
        if also:
            yield also
        if fields := self._fields(schema, without=without, of=name):
            yield fields
        for example in message["examples"]:
            yield f"```json\n{_shown(example['payload'])}\n```"

    def _configuration(self) -> Iterator[str]:
        changeable = self._schemas["ChangedConfig"]["properties"]
        yield "### session_config"
        yield self._schemas["RequestedConfig"]["description"] + " C: `configure` may change it."
        yield _table(
            ("field", "value", "default", "C", "meaning"),
            (
                (
                    f"`{name}`",
                    self._type(field),
                    f"`{json.dumps(field['default'])}`" if "default" in field else "",
                    "C" if name in changeable else "",
                    field["description"],
                )
                for name, field in self._schemas["RequestedConfig"]["properties"].items()
            ),
        )
        yield "### resume"
        yield self._schemas["Resume"]["description"]
        yield self._fields(self._schemas["Resume"])

    def _errors(self) -> Iterator[str]:
        yield "## Error codes"
        yield (
            "`retry_after` is what is told where nothing better is known. The connection ends with those "
            "that have a close code."
        )
        yield _table(
            (
                "code",
                "what happened",
                "then",
                "category",
                "severity",
                "recoverable",
                "retry_after",
                "close code",
            ),
            (
                (f"`{code}`", *("" if each is None else _plain(each) for each in kind.values()))
                for code, kind in self._channel["x-errors"].items()
            ),
        )

    def _fields(
        self, schema: Mapping[str, Any], *, without: Iterable[str] = (), of: str = ""
    ) -> str:
        """The table of an object's fields, those of objects in it by their path; "" of none."""
        rows = list(self._rows(schema, without=set(without), of=of))
        return _table(("field", "value", "meaning"), rows) if rows else ""

    def _rows(
        self, schema: Mapping[str, Any], *, without: set[str], of: str, path: str = ""
    ) -> Iterator[Sequence[str]]:
        for name, field in schema["properties"].items():
            if name in without:
                continue
            optional = "" if name in schema.get("required", ()) else "optional: "
            meaning = field.get("description", "")
            if "default" in field:
                meaning += f" (default `{json.dumps(field['default'])}`)"
            target = _target(field)
            if target is None:
                yield f"`{path}{name}`", optional + self._type(field), meaning
                continue
            value = self._type(field)
            if target in self._told:
                value += f", as in [`{self._told[target]}`](#{self._told[target]})"
            yield f"`{path}{name}`", optional + value, meaning or self._described(target)
            if target in _ELSEWHERE or target in self._told:
                continue
            if of:
                self._told[target] = of
            inner = f"{path}{name}[]." if field.get("type") == "array" else f"{path}{name}."
            yield from self._rows(self._schemas[target], without=set(), of=of, path=inner)

    def _described(self, name: str) -> str:
        return str(self._schemas[name]["description"]).rstrip(".")

    def _type(self, schema: Mapping[str, Any]) -> str:
        """What a value may be, in words."""
        if "anyOf" in schema:
            return " or ".join(map(self._type, schema["anyOf"]))
        if (target := _target(schema)) is not None and "items" not in schema:
            return f"object, {_ELSEWHERE[target]}" if target in _ELSEWHERE else "object"
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        or_null = ", or null" if len(kinds) > 1 and "null" in kinds else ""
        choices = [f"`{_plain(each)}`" for each in schema.get("enum", ()) if each is not None]
        if len(choices) > MANY:
            return f"one of [those below](#error-codes){or_null}"
        if choices:
            return ", ".join(choices) + or_null
        if kinds[0] == "array":
            most = f" of up to {schema['maxItems']}" if "maxItems" in schema else ""
            return f"list{most}, each: {self._type(schema['items'])}{or_null}"
        kinds = [kind for kind in kinds if kind != "null"] or kinds
        words = " or ".join(_TYPE_WORDS.get(kind, kind) for kind in kinds)
        return words + _limits(schema) + or_null


def _limits(schema: Mapping[str, Any]) -> str:
    """The unit of a value and its range."""
    text = f" of {schema['x-unit']}" if "x-unit" in schema else ""
    if schema.get("maximum", MAX_COUNT) < MAX_COUNT:
        text += f", {schema['minimum']:g} to {schema['maximum']:g}"
    elif "minimum" in schema:
        text += f", {schema['minimum']:g} or more"
    if "maxLength" in schema:
        low = f"{schema['minLength']}" if "minLength" in schema else "up"
        text += f", {low} to {schema['maxLength']} characters"
    if schema.get("format") == "date-time":
        text += ", RFC 3339 in UTC with milliseconds"
    return text


def _target(schema: Mapping[str, Any]) -> str | None:
    """The name of the object that a field holds, or a list of which it holds."""
    for candidate in (schema, *schema.get("allOf", ()), *schema.get("anyOf", ())):
        if "$ref" in candidate:
            return _last(candidate)
    return _target(schema["items"]) if "items" in schema else None


def _last(reference: Mapping[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def _shown(payload: object, width: int = 100) -> str:
    """JSON as somebody would write it: what fits a line stands in one."""
    return _lines(payload, indent=0, width=width)


def _lines(value: object, *, indent: int, width: int) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    if indent + len(flat) <= width or not isinstance(value, dict | list) or not value:
        return flat
    pad = " " * (indent + 1)
    if isinstance(value, list):
        inner = [_lines(each, indent=indent + 1, width=width) for each in value]
        return "[" + f",\n{pad}".join(inner) + "]"
    inner = []
    for name, each in value.items():
        key = f"{json.dumps(name)}: "
        inner.append(key + _lines(each, indent=indent + 1 + len(key), width=width))
    return "{" + f",\n{pad}".join(inner) + "}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Make docs/protocol.md.")
    parser.parse_args()
    PAGE.write_text(protocol_page(), encoding="utf-8")


def protocol_page() -> str:
    """The page of this version."""
    return Page(asyncapi_document(__version__)).text()


if __name__ == "__main__":
    main()
