"""OpenAI's paths on the main port as OpenAPI 3.1 path items; plain dictionaries, complete in themselves."""

from __future__ import annotations

from typing import Any

from fasttalk_stt.service.openai.form import FORMATS, GRANULARITIES, WHISPER_1
from fasttalk_stt.service.openai.upload import ACCEPTED

Schema = dict[str, Any]

_JSON = "application/json"
_TEXT: Schema = {"type": "string"}
_SECONDS: Schema = {"type": "number", "minimum": 0, "description": "seconds"}


def openai_paths() -> dict[str, Any]:
    """The path items by their paths."""
    return {
        "/v1/audio/transcriptions": {"post": _transcribe()},
        "/v1/audio/translations": {
            "post": {
                "operationId": "createTranslation",
                "summary": "Not supported: always 404.",
                "responses": {"404": _error("This server does not translate.")},
            }
        },
        "/v1/models": {
            "get": {
                "operationId": "listModels",
                "summary": f"{WHISPER_1}, which stands for this server's model, and its own name.",
                "responses": {
                    "200": _answer(
                        "The models.",
                        _object(
                            object={"const": "list"}, data={"type": "array", "items": _model()}
                        ),
                    ),
                    "default": _error("Why not."),
                },
            }
        },
        "/v1/models/{model}": {
            "get": {
                "operationId": "retrieveModel",
                "summary": "One of them.",
                "parameters": [{"name": "model", "in": "path", "required": True, "schema": _TEXT}],
                "responses": {
                    "200": _answer("The model.", _model()),
                    "404": _error("There is no such model (`model_not_found`)."),
                    "default": _error("Why not."),
                },
            }
        },
    }


def _transcribe() -> dict[str, Any]:
    form = _object(
        file={"type": "string", "format": "binary", "description": f"a recording: {ACCEPTED}"},
        model={**_TEXT, "description": f"{WHISPER_1}, or a name of /v1/models"},
        language={**_TEXT, "description": "ISO 639-1; none detects it"},
        prompt={**_TEXT, "description": "names and terms to favour"},
        keywords={"type": "array", "items": _TEXT, "description": "more of these"},
        response_format={"enum": list(FORMATS), "default": "json"},
        temperature={"type": "number", "minimum": 0, "maximum": 1, "description": "has no effect"},
        timestamp_granularities={
            "type": "array",
            "items": {"enum": list(GRANULARITIES)},
            "description": "with verbose_json",
        },
        stream={"type": "boolean", "default": False, "description": "with json or text"},
        chunking_strategy={"const": "auto"},
    )
    form["required"] = ["file", "model"]
    return {
        "operationId": "createTranscription",
        "summary": "A recording in, its text out, as OpenAI's API has it.",
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
        "responses": {
            "200": {
                "description": "The text, in the format asked for; with `stream`, events "
                "`transcript.text.delta` and `transcript.text.done`, then `[DONE]`.",
                "content": {
                    _JSON: {"schema": _transcription()},
                    "text/plain": {"schema": _TEXT},
                    "text/event-stream": {"schema": _TEXT},
                },
            },
            "400": _error("A field or the file cannot be used; `param` names it."),
            "401": _error("No good credential came (`invalid_api_key`)."),
            "403": _error("Pages of that origin may not ask (`forbidden_origin`)."),
            "404": _error("There is no such model (`model_not_found`)."),
            "408": _error("The upload took too long (`timeout`)."),
            "413": _error("The upload is too large (`request_too_large`)."),
            "429": _error("More than the key or the address may ask.", retry=True),
            "503": _error("No room, no model or no time for it now.", retry=True),
            "default": _error("Anything else."),
        },
    }


def _transcription() -> Schema:
    segment = _object(
        id={"type": "integer"},
        seek={"type": "integer", "description": "where it starts, in 10 ms"},
        start=_SECONDS,
        end=_SECONDS,
        text=_TEXT,
        tokens={"type": "array", "maxItems": 0},
        temperature={"const": 0.0},
        avg_logprob={"type": "number", "description": "of its words' confidences"},
        compression_ratio={"type": "number"},
        no_speech_prob={"const": 0.0},
    )
    made = _object(
        text=_TEXT,
        usage=_object(type={"const": "duration"}, seconds=_SECONDS),
        task={"const": "transcribe"},
        language={**_TEXT, "description": "its English name"},
        duration=_SECONDS,
        segments={"type": "array", "items": segment},
        words={"type": "array", "items": _object(word=_TEXT, start=_SECONDS, end=_SECONDS)},
    )
    made["required"] = ["text", "usage"]
    made["description"] = "With `json`, `text` and `usage` alone."
    return made


def _model() -> Schema:
    return _object(
        id=_TEXT,
        object={"const": "model"},
        created={"type": "integer", "description": "Unix time of the server's start"},
        owned_by=_TEXT,
    )


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _answer(description: str, schema: Schema) -> dict[str, Any]:
    return {"description": description, "content": {_JSON: {"schema": schema}}}


def _error(description: str, *, retry: bool = False) -> dict[str, Any]:
    nullable_text: Schema = {"type": ["string", "null"]}
    detail = _object(message=_TEXT, type=_TEXT, param=nullable_text, code=nullable_text)
    response = _answer(description, _object(error=detail))
    if retry:
        response["headers"] = {
            "Retry-After": {
                "description": "when to ask again, in seconds",
                "schema": {"type": "integer", "minimum": 1},
            }
        }
    return response
