"""The HTTP document: valid, complete, and what the running application really answers."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import attrs
import jsonschema_rs
import openapi_spec_validator
import pytest
import trio
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError
from quart.typing import ResponseTypes
from quart_trio import QuartTrio

from fasttalk_stt import __version__
from fasttalk_stt.access.principal import ANONYMOUS
from fasttalk_stt.app import create_app
from fasttalk_stt.composition import compose, make_gate
from fasttalk_stt.connection.memory import MemoryTransport
from fasttalk_stt.guard import GuardStatistics
from fasttalk_stt.inference.fake import FakeEngine
from fasttalk_stt.service.engine_health import Trouble
from fasttalk_stt.service.pages import is_page
from fasttalk_stt.service.readiness import Readiness, ReadinessState
from fasttalk_stt.service.services import Services
from fasttalk_stt.settings import Settings
from tests.contract import closed

KEY = "a key of the tests"
SETTINGS = Settings(vad="webrtc", endpointer="silence", language="de")
GUARDED = Settings(
    api_keys=f"tests:{sha256(KEY.encode()).hexdigest()}",
    allowed_origins=("https://app.example.com",),
    connection_rate_limit=3,
)


@pytest.fixture
def services() -> Services:
    """Those of a real server with a fake engine, as if its model were loaded."""
    services = compose(SETTINGS, FakeEngine(), GuardStatistics()).services
    services.readiness.move(ReadinessState.READY)
    return services


@pytest.fixture
def app(services: Services) -> QuartTrio:
    return create_app(services)


async def _document(app: QuartTrio) -> dict[str, Any]:
    return await (await app.test_client().get("/openapi.json")).get_json()


class Judge:
    """Holds answers of an application against its own document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._components = document["components"]
        self._paths = document["paths"]

    async def check(self, path: str, response: ResponseTypes) -> None:
        described = self._response(path, response.status_code)
        for header in described.get("headers", {}):
            assert header in response.headers
        schema = described["content"][response.mimetype]["schema"]
        if response.mimetype == "application/json":
            body = json.loads(await response.get_data())
            whole = closed({**schema, "components": self._components})
            jsonschema_rs.Draft202012Validator(whole).validate(body)

    def _response(self, path: str, status: int) -> dict[str, Any]:
        # A path that is not there is answered like any other error.
        described = self._paths.get(path, self._paths["/"])["get"]["responses"]
        response = described.get(str(status), described["default"])
        if "$ref" in response:
            return self._components["responses"][response["$ref"].rpartition("/")[2]]
        return response


async def test_the_document_is_valid(app: QuartTrio) -> None:
    document = await _document(app)
    openapi_spec_validator.validate(document)
    del document["paths"]["/health"]["get"]["responses"]["200"]["description"]
    with pytest.raises(OpenAPIValidationError):
        openapi_spec_validator.validate(document)


async def test_every_route_is_in_it_but_for_the_pages_files(app: QuartTrio) -> None:
    routes = {
        rule.rule
        for rule in app.url_map.iter_rules()
        if not rule.websocket and not is_page(rule.endpoint)
    }
    assert set((await _document(app))["paths"]) == routes


async def test_a_servers_answers_are_as_documented(services: Services, app: QuartTrio) -> None:
    judge = Judge(await _document(app))
    services.guard.contained_faults["RuntimeError"] += 1
    with services.connections.admit() as ticket:
        connect = services.connect
        ticket.attach(
            connect(MemoryTransport(), principal=ANONYMOUS, audio=None, must_resume=False)
        )
        for path in (await _document(app))["paths"]:
            response = await app.test_client().get(path, headers={"Accept": "*/*"})
            assert response.status_code == 200, path
            await judge.check(path, response)
    page = await app.test_client().get("/", headers={"Accept": "text/html"})
    await judge.check("/", page)


async def test_a_live_session_is_as_documented(services: Services, nursery: trio.Nursery) -> None:
    judge = Judge(await _document(create_app(services)))
    transport = MemoryTransport()
    with services.connections.admit() as ticket:
        connection = services.connect(transport, principal=ANONYMOUS, audio=None, must_resume=False)
        ticket.attach(connection)
        nursery.start_soon(connection.run)
        await transport.feed('{"type": "start_session"}')
        assert "session_started" in str(await transport.next_message())
        response = await create_app(services).test_client().get("/stats")
        assert len((await response.get_json())["processing_stats"]) == 1
        await judge.check("/stats", response)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
@pytest.mark.parametrize("state", [ReadinessState.DRAINING, ReadinessState.FAILED])
async def test_what_cannot_serve_is_as_documented(
    services: Services, app: QuartTrio, path: str, state: ReadinessState
) -> None:
    services.readiness.move(state)
    response = await app.test_client().get(path)
    assert response.status_code == 503
    await Judge(await _document(app)).check(path, response)


async def test_trouble_is_as_documented(services: Services) -> None:
    readiness = Readiness(lambda: Trouble("the GPU is away", 1.0))
    readiness.move(ReadinessState.READY)
    hopeless = attrs.evolve(services.engine, dead_limit_s=-1.0)
    app = create_app(attrs.evolve(services, readiness=readiness, engine=hopeless))
    judge = Judge(await _document(app))
    for path in ("/health", "/health/ready", "/health/live"):
        response = await app.test_client().get(path)
        assert response.status_code == 503, path
        await judge.check(path, response)


async def test_refusals_are_as_documented(services: Services) -> None:
    app = create_app(attrs.evolve(services, access=make_gate(GUARDED)))
    client, key = app.test_client(), {"Authorization": f"Bearer {KEY}"}
    document = await (await client.get("/openapi.json", headers=key)).get_json()
    judge = Judge(document)
    guarded = [path for path, item in document["paths"].items() if "security" not in item["get"]]
    assert set(document["paths"]) - set(guarded) == {"/health/live", "/health/ready"}
    # Three refusals a minute are told, the fourth is told to wait.
    for path, headers, status in (
        ("/asyncapi.json", {}, 401),
        ("/openapi.json", {"Authorization": "Bearer wrong"}, 401),
        ("/stats", {**key, "Origin": "https://evil.example"}, 403),
        ("/health", {}, 429),
    ):
        response = await client.get(path, headers=headers)
        assert response.status_code == status, path
        await judge.check(path, response)
    for path in guarded:
        assert (await client.get(path)).status_code == 429, path
        assert (await client.get(path, headers=key)).status_code == 200, path
    for path in ("/health/live", "/health/ready"):
        assert (await client.get(path)).status_code == 200, path


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("POST", "/stats", 405), ("GET", "/ws/transcribe", 400)],
)
async def test_http_errors_are_as_documented(
    app: QuartTrio, method: str, path: str, status: int
) -> None:
    response = await app.test_client().open(path, method=method)
    assert response.status_code == status
    await Judge(await _document(app)).check(path, response)


async def test_the_asyncapi_document_is_that_of_this_server(app: QuartTrio) -> None:
    document = await (await app.test_client().get("/asyncapi.json")).get_json()
    assert document["asyncapi"] == "3.0.0"
    assert document["info"]["version"] == __version__
    config = document["components"]["schemas"]["RequestedConfig"]["properties"]
    assert config["language"]["default"] == "de"
