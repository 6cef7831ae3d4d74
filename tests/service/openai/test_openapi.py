"""What is published of the paths is what they take and answer."""

from __future__ import annotations

import json

import jsonschema_rs
import pytest
from quart_trio import QuartTrio

from fasttalk_stt.guard import GuardStatistics
from fasttalk_stt.service.connections import ConnectionManager
from fasttalk_stt.service.openai.errors import model_not_found
from fasttalk_stt.service.openai.form import TranscriptionRequest
from fasttalk_stt.service.openai.openapi import openai_paths
from fasttalk_stt.service.openai.responses import model_object, render
from fasttalk_stt.service.openai.routes import add_openai_routes
from fasttalk_stt.service.readiness import Readiness
from fasttalk_stt.service.services import Services
from fasttalk_stt.transcripts.transcript import Segment, Transcript, Word
from fasttalk_stt.transcripts.transcription import Wishes
from tests.service.test_transcriptions import make
from tests.support import engine_health

SEGMENT = Segment("Ja.", 0, 900, 1, (Word("Ja.", 100, 400, 0.9),))


def schema(path, method, status):
    return openai_paths()[path][method]["responses"][status]["content"]["application/json"][
        "schema"
    ]


def test_every_route_is_published_and_no_other():
    app = QuartTrio("test", static_folder=None)
    services = Services(
        connections=ConnectionManager(max_connections=1),
        readiness=Readiness(),
        guard=GuardStatistics(),
        connect=lambda transport, **more: None,
        model_name=lambda: "tiny",
        engine=engine_health(),
    )
    add_openai_routes(app, services, make())
    routes = {
        (rule.rule.replace("<path:model>", "{model}"), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert routes == {(path, method) for path, item in openai_paths().items() for method in item}


@pytest.mark.parametrize("response_format", ["json", "verbose_json"])
def test_transcriptions_are_as_published(response_format):
    request = TranscriptionRequest(Wishes(), response_format, frozenset({"word", "segment"}))
    body, _ = render(Transcript("a", 1_000, "tiny", "de", (SEGMENT,)), request)
    published = schema("/v1/audio/transcriptions", "post", "200")
    jsonschema_rs.validator_for(published).validate(json.loads(body))


def test_models_and_errors_are_as_published():
    jsonschema_rs.validator_for(schema("/v1/models/{model}", "get", "200")).validate(
        model_object("tiny", 5)
    )
    jsonschema_rs.validator_for(schema("/v1/models/{model}", "get", "404")).validate(
        model_not_found("a", ("b",)).body()
    )
