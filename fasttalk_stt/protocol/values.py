"""What one value of a configuration may be: how it is checked, told to people, and published.

Each class holds a range once and answers three questions about it: `read` checks a value of JSON,
`allowed` is the end of the sentence "allowed is ...", `schema` the same for machines. `config` says
which field takes which.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Protocol

import attrs
from attrs import field, frozen

from fasttalk_stt.protocol.quantities import UNIT

VALUE = "value"
"""Field metadata: the `Value` that the field may hold."""

CONFIGURABLE = "configurable"
"""Field metadata: whether `configure` may change the field inside a session."""

MAX_ID_CHARS = 128
"""Of names of sessions, users and conversations, which stand in every message and line of the log."""

_LANGUAGE = r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*"
_IS_LANGUAGE = re.compile(_LANGUAGE)
_NO_CONTROL_CHARACTERS = r"^[^\u0000-\u001f\u007f-\u009f]*$"
_UNIT_SYMBOLS = {"seconds": "s", "milliseconds": "ms", "hertz": "Hz"}


class Value(Protocol):
    """One kind of value. `schema` may admit a little more than `read`, where JSON Schema has no
    words for a rule; it never admits less."""

    @property
    def allowed(self) -> str: ...

    def read(self, value: object) -> Any:
        """Return the checked value; raises ValueError."""

    def schema(self) -> dict[str, Any]: ...


def holds(value: Value, default: Any = attrs.NOTHING, *, configurable: bool = False) -> Any:
    """A field of a configuration's class that may hold `value`."""
    return field(default=default, metadata={VALUE: value, CONFIGURABLE: configurable})


@frozen
class Boolean:
    allowed = "true or false"

    def read(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@frozen
class Number:
    """A number of `unit` from `low` to `high`, both included."""

    low: float
    high: float
    unit: str

    @property
    def allowed(self) -> str:
        return f"a number of {self.unit} from {self.low:g} to {self.high:g}"

    def read(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError
        # Compared as it is: an integer of hundreds of digits does not fit a float.
        if not self.low <= value <= self.high:
            raise ValueError
        return float(value)

    def schema(self) -> dict[str, Any]:
        return {
            "type": "number",
            "minimum": self.low,
            "maximum": self.high,
            UNIT: _UNIT_SYMBOLS[self.unit],
        }


@frozen
class Integer:
    """A whole number; `senses` says what the lowest and the highest stand for."""

    low: int
    high: int
    unit: str | None = None
    senses: tuple[str, str] | None = None

    @property
    def allowed(self) -> str:
        low, high = str(self.low), str(self.high)
        if self.senses is not None:
            low, high = f"{low} ({self.senses[0]})", f"{high} ({self.senses[1]})"
        return f"a whole number{f' of {self.unit}' if self.unit else ''} from {low} to {high}"

    def read(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError
        if not self.low <= value <= self.high or value != int(value):
            raise ValueError
        return int(value)

    def schema(self) -> dict[str, Any]:
        unit = {} if self.unit is None else {UNIT: _UNIT_SYMBOLS[self.unit]}
        return {"type": "integer", "minimum": self.low, "maximum": self.high, **unit}


@frozen
class Text:
    """Any text of a language; only control characters and broken surrogates are refused."""

    max_chars: int

    @property
    def allowed(self) -> str:
        return f"up to {self.max_chars} characters"

    def read(self, value: object) -> str:
        if not isinstance(value, str) or len(value) > self.max_chars:
            raise ValueError
        if any(unicodedata.category(character) in {"Cc", "Cs"} for character in value):
            raise ValueError
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "maxLength": self.max_chars, "pattern": _NO_CONTROL_CHARACTERS}


@frozen
class Identifier:
    """A caller's name for something: printable, not empty."""

    max_chars: int

    @property
    def allowed(self) -> str:
        return f"1 to {self.max_chars} printable characters"

    def read(self, value: object) -> str:
        text = Text(self.max_chars).read(value)
        if not text or not text.isprintable():
            raise ValueError
        return text

    def schema(self) -> dict[str, Any]:
        return {**Text(self.max_chars).schema(), "minLength": 1}


@frozen
class Choice:
    choices: tuple[str, ...]

    @property
    def allowed(self) -> str:
        return " or ".join(map(repr, self.choices))

    def read(self, value: object) -> str:
        if not isinstance(value, str) or value not in self.choices:
            raise ValueError
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.choices)}


def is_language_tag(value: str) -> bool:
    """Whether the text has the form of an ISO 639-1 or BCP 47 code."""
    return _IS_LANGUAGE.fullmatch(value) is not None


@frozen
class LanguageTag:
    allowed = "an ISO 639-1 or BCP 47 code such as 'en' or 'en-US'"

    def read(self, value: object) -> str:
        if not isinstance(value, str) or not is_language_tag(value):
            raise ValueError
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{_LANGUAGE}$"}


@frozen
class Phrases:
    """A list of texts none of which is blank."""

    max_entries: int
    max_chars: int

    @property
    def allowed(self) -> str:
        return f"a list of up to {self.max_entries} strings of 1 to {self.max_chars} characters"

    def read(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, list | tuple) or len(value) > self.max_entries:
            raise ValueError
        entries = tuple(Text(self.max_chars).read(entry) for entry in value)
        if not all(entry.strip() for entry in entries):
            raise ValueError
        return entries

    def schema(self) -> dict[str, Any]:
        entry = {**Text(self.max_chars).schema(), "minLength": 1}
        return {"type": "array", "maxItems": self.max_entries, "items": entry}


@frozen
class Nullable:
    """The same, or null."""

    inner: Value

    @property
    def allowed(self) -> str:
        return f"{self.inner.allowed}, or null"

    def read(self, value: object) -> Any:
        return None if value is None else self.inner.read(value)

    def schema(self) -> dict[str, Any]:
        return nullable(self.inner.schema())


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of the same or null."""
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    changed = {**schema, "type": [*types, "null"]}
    if "enum" in schema:
        changed["enum"] = [*schema["enum"], None]
    return changed
