"""The fields of a transcription request: what OpenAI defines, checked, as this server understands it.

Pure: texts in, a `TranscriptionRequest` or an `ApiError` out. `upload` reads them from the socket.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal, get_args

from attrs import frozen

from fasttalk_stt.service.openai.errors import invalid, model_not_found
from fasttalk_stt.service.openai.languages import language_code
from fasttalk_stt.transcripts.transcription import Wishes

ResponseFormat = Literal["json", "text", "srt", "verbose_json", "vtt"]
Granularity = Literal["word", "segment"]

FORMATS: tuple[ResponseFormat, ...] = get_args(ResponseFormat)
GRANULARITIES: tuple[Granularity, ...] = get_args(Granularity)
STREAMED_FORMATS = ("json", "text")

WHISPER_1 = "whisper-1"
"""OpenAI's name, which clients send that were written for it: whatever model this server has."""

MOST_TERMS = 64
LONGEST_TERM_CHARS = 128
"""What a session takes as its vocabulary."""

_UNSUPPORTED = {
    "known_speaker_names": "speakers are not told apart",
    "known_speaker_references": "speakers are not told apart",
    "languages": "give one language, or none to have it detected",
}


@frozen
class TranscriptionRequest:
    """One request, every value checked."""

    wishes: Wishes
    response_format: ResponseFormat = "json"
    granularities: frozenset[Granularity] = frozenset({"segment"})
    stream: bool = False


def read_request(
    fields: Sequence[tuple[str, str]],
    *,
    models: tuple[str, ...],
    languages: Collection[str],
    default_language: str | None,
) -> TranscriptionRequest:
    """Check the fields of a form, in their order, without the file. `models` are the names accepted,
    `languages` the codes that the model knows.

    A field that OpenAI does not define is ignored. Raises ApiError.
    """
    given = _collected(fields)
    for name, why in _UNSUPPORTED.items():
        if name in given:
            raise invalid(name, f"{name} is not supported: {why}.", "unsupported_parameter")
    model = _one(given, "model")
    if not model:
        raise invalid("model", f"model is missing: send {WHISPER_1}.", "missing_required_parameter")
    if model not in models:
        raise model_not_found(model, models)
    response_format = _choice(given, "response_format", FORMATS, default="json")
    stream = _boolean(given, "stream")
    if stream and response_format not in STREAMED_FORMATS:
        raise invalid(
            "response_format",
            f"response_format is {response_format!r}; with stream=true it may be "
            f"{' or '.join(STREAMED_FORMATS)}.",
            "unsupported_value",
        )
    _check_temperature(_one(given, "temperature"))
    _check_chunking(_one(given, "chunking_strategy"))
    if given.get("include"):
        raise invalid(
            "include",
            f"include is {given['include'][0][:100]!r}, but this server has no log probabilities of tokens. "
            "Ask for verbose_json, whose segments have an average.",
            "unsupported_value",
        )
    return TranscriptionRequest(
        wishes=Wishes(
            language=_language(_one(given, "language"), languages, default_language),
            vocabulary=_vocabulary(given.get("keywords", ()), _one(given, "prompt") or ""),
        ),
        response_format=response_format,
        granularities=_granularities(given.get("timestamp_granularities"), response_format),
        stream=stream,
    )


def _collected(fields: Sequence[tuple[str, str]]) -> Mapping[str, list[str]]:
    """The values of each field. Lists come as `name[]`, once or as often as they have entries, and objects as
    `name[key]`, which here stands for the object as a whole."""
    given: dict[str, list[str]] = {}
    for name, value in fields:
        plain, _, key = name.partition("[")
        given.setdefault(plain, []).append(
            f"{{{key[:-1]}: {value}}}" if key not in {"", "]"} else value
        )
    return given


def _one(given: Mapping[str, list[str]], name: str) -> str | None:
    values = given.get(name)
    if not values:
        return None
    if len(values) > 1 and name != "chunking_strategy":
        raise invalid(name, f"{name} was given {len(values)} times: give it once.")
    return values[0].strip()


def _choice(
    given: Mapping[str, list[str]],
    name: str,
    choices: tuple[ResponseFormat, ...],
    *,
    default: ResponseFormat,
) -> ResponseFormat:
    value = _one(given, name)
    if not value:
        return default
    for choice in choices:
        if value == choice:
            return choice
    raise invalid(name, f"{name} is {value[:100]!r}: expected one of {', '.join(choices)}.")


def _boolean(given: Mapping[str, list[str]], name: str) -> bool:
    value = (_one(given, name) or "false").lower()
    if value not in {"true", "false"}:
        raise invalid(name, f"{name} is {value[:100]!r}: expected true or false.")
    return value == "true"


def _check_temperature(text: str | None) -> None:
    if not text:
        return
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= 1.0:
        raise invalid("temperature", f"temperature is {text[:100]!r}: expected a number 0-1.")


def _check_chunking(text: str | None) -> None:
    if text not in {None, "", "auto"}:
        raise invalid(
            "chunking_strategy",
            f'chunking_strategy is {text[:100]!r}: only "auto" is supported; recordings are cut where '
            "nobody speaks.",
            "unsupported_value",
        )


def _language(
    text: str | None, languages: Collection[str], default_language: str | None
) -> str | None:
    if not text:
        return default_language
    code = language_code(text)
    if code in languages:
        return code
    some = ", ".join(sorted(languages)[:8])
    more = " and more" if len(languages) > 8 else ""
    raise invalid(
        "language",
        f"language is {text[:100]!r}; the model knows {some}{more}. Give one of these codes, or none to have "
        "it detected.",
    )


def _granularities(
    values: Sequence[str] | None, response_format: ResponseFormat
) -> frozenset[Granularity]:
    name = "timestamp_granularities"
    if not values:
        return frozenset({"segment"})
    if response_format != "verbose_json":
        raise invalid(
            name, f"{name} needs response_format verbose_json; it is {response_format!r}."
        )
    chosen = frozenset(choice for choice in GRANULARITIES if choice in values)
    for value in values:
        if value not in GRANULARITIES:
            raise invalid(name, f"{name} has {value[:100]!r}: expected word or segment.")
    return chosen


def _vocabulary(keywords: Sequence[str], prompt: str) -> tuple[str, ...]:
    """Names and terms to favour, of both. The decoder is told them joined by commas, so a prompt is cut at
    its commas and its lines, and where a piece is too long for a session between words."""
    terms = _terms(itertools.chain(keywords, re.split(r"[,\n]+", prompt)))
    return tuple(itertools.islice(terms, MOST_TERMS))


def _terms(pieces: Iterable[str]) -> Iterator[str]:
    """A generator: a prompt may have ten thousands of words, and few are made use of."""
    for piece in pieces:
        term = ""
        for word in piece.split():
            if term and len(term) + 1 + len(word) > LONGEST_TERM_CHARS:
                yield term
                term = ""
            term = f"{term} {word[:LONGEST_TERM_CHARS]}".strip()
        if term:
            yield term
