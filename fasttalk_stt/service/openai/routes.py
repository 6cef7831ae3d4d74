"""`/v1/audio/transcriptions` and `/v1/models`: OpenAI's paths on the main port.

Thin: it moves texts between the web framework, the form, the transcriptions and the answers.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import cast

import structlog
import trio
from quart import Response, jsonify, request
from quart.wrappers import Request
from quart_trio import QuartTrio

from fasttalk_stt.access.principal import Visitor
from fasttalk_stt.access.rates import Bucket
from fasttalk_stt.protocol.errors import SERVER_DRAINING, ProtocolError
from fasttalk_stt.service.asking import read_request as read_asking
from fasttalk_stt.service.openai.errors import (
    SERVER_ERROR,
    ApiError,
    model_not_found,
    of_audio,
    of_failure,
    of_protocol,
)
from fasttalk_stt.service.openai.form import WHISPER_1, TranscriptionRequest, read_request
from fasttalk_stt.service.openai.responses import (
    END_OF_STREAM,
    delta,
    delta_event,
    done_event,
    error_event,
    model_object,
    render,
)
from fasttalk_stt.service.openai.upload import read_upload
from fasttalk_stt.service.paced_requests import UPLOAD_PREFIX, PacedBody, PacedRequest
from fasttalk_stt.service.services import Services
from fasttalk_stt.service.transcriptions import Transcriptions, check_allowance
from fasttalk_stt.transcripts.audio_file import AudioFileError
from fasttalk_stt.transcripts.recording import Sound
from fasttalk_stt.transcripts.transcript import Segment
from fasttalk_stt.transcripts.transcription import TranscriptionFailedError, Watcher

logger = structlog.get_logger(__name__)

LINGER_S = 5.0
"""How long a refused upload is read to nowhere. Closing at once would answer what is still on its way
with a reset, which can destroy the answer; a client that reads it stops sooner."""

LEFT = "left"
"""What the log has for a code where the client did not wait for its answer."""


def is_openai_path(path: str) -> bool:
    """Whether this path's errors are told as OpenAI does."""
    return path.startswith(UPLOAD_PREFIX)


def answer_error(error: ApiError, asked: Request) -> Response:
    """Answer a request whose body may still be on its way."""
    response = jsonify(error.body())
    response.status_code = error.status
    response.headers.update(error.headers())
    body = asked.body
    if isinstance(body, PacedBody) and not body.is_complete:
        payload = json.dumps(error.body()).encode()
        response.response = response.iterable_body_class(_lingering(payload, body))
        response.content_length = len(payload)
    return response


async def _lingering(payload: bytes, body: PacedBody) -> AsyncIterator[bytes]:
    yield payload
    with trio.move_on_after(LINGER_S):
        async for _ in body:
            pass


def add_openai_routes(app: QuartTrio, services: Services, desk: Transcriptions) -> None:
    """Serve OpenAI's paths; their requests have passed the gate already."""
    created_at_s = int(time.time())
    gate = services.access

    def models() -> tuple[str, ...]:
        served = [services.model_name()]
        if services.preferred_model is not None:
            served.insert(0, services.preferred_model())
        return tuple(dict.fromkeys([WHISPER_1, *served]))

    def count_refusal(error: ProtocolError, visitor: Visitor | None) -> None:
        kind = None if visitor is None else visitor.principal.kind
        services.observation.telemetry.refused(error.kind.code, kind)

    @app.get("/v1/models")
    async def list_models() -> Response:
        data = [model_object(model, created_at_s) for model in models()]
        return jsonify(object="list", data=data)

    @app.get("/v1/models/<path:model>")
    async def get_model(model: str) -> Response:
        if model not in models():
            return answer_error(model_not_found(model, models()), request)
        return jsonify(model_object(model, created_at_s))

    @app.post("/v1/audio/translations")
    async def translate() -> Response:
        error = ApiError(
            404,
            "This server does not translate. Send the recording to /v1/audio/transcriptions, and its text to "
            "a language model.",
            code="unsupported_endpoint",
        )
        return answer_error(error, request)

    @app.post("/v1/audio/transcriptions")
    async def create_transcription() -> Response:
        asked = _paced(request)
        visitor = None
        try:
            visitor = gate.enter(read_asking(request))
            services.readiness.check_model()
            gate.count(visitor)
            audio = gate.audio(visitor)
            check_allowance(audio)
        except ProtocolError as error:
            count_refusal(error, visitor)
            return answer_error(of_protocol(error), asked)
        job = _Job(asked, desk, visitor, audio, models=models(), count_refusal=count_refusal)
        response: Response = await asked.tasks.start(job.run)
        return response


def _paced(asked: Request) -> PacedRequest:
    return cast("PacedRequest", asked)


class _Job(Watcher):
    """One recording, from its upload to the last byte of its text; a task of its request."""

    def __init__(
        self,
        asked: PacedRequest,
        desk: Transcriptions,
        visitor: Visitor,
        audio: Bucket | None,
        *,
        models: tuple[str, ...],
        count_refusal: Callable[[ProtocolError, Visitor], None],
    ) -> None:
        """`audio` is what the visitor's key may still send, in seconds; None: any amount."""
        self._asked = asked
        self._desk = desk
        self._visitor = visitor
        self._audio = audio
        self._models = models
        self._count_refusal = count_refusal
        self._id = f"req_{uuid.uuid4().hex}"
        self._heard_s = 0.0
        self._wanted: TranscriptionRequest | None = None
        self._task_status: trio.TaskStatus[Response] = trio.TASK_STATUS_IGNORED
        self._events: trio.MemorySendChannel[str] | None = None
        self._n_segments = 0

    async def run(self, *, task_status: trio.TaskStatus[Response]) -> None:
        """Report the response: when it is made, or, of a stream, once the recording is open."""
        began_s = trio.current_time()
        self._task_status = task_status
        status: int | None = None
        code: str | None = LEFT
        try:
            await self._work()
            status, code = 200, None
        except Exception as caught:  # noqa: BLE001 - the boundary: it is logged and told
            if isinstance(caught, ProtocolError):
                self._count_refusal(caught, self._visitor)
            error = _translated(caught)
            status, code = error.status, error.code
            await self._fail(error)
        finally:
            if self._events is not None:
                self._events.close()
            # Also of a client that has left, which cancels this task.
            logger.info(
                "transcription",
                request_id=self._id,
                principal=str(self._visitor.principal),
                status=status,
                code=code,
                audio_s=round(self._heard_s, 3),
                took_s=round(trio.current_time() - began_s, 3),
            )

    def opened(self) -> None:
        """The recording can be read: a stream begins."""
        if self._wanted is None or not self._wanted.stream:
            return
        # Nothing is buffered: a client that reads slowly holds its transcription back.
        self._events, events = trio.open_memory_channel[str](0)
        response = Response(_each(events), mimetype="text/event-stream")
        response.headers["Cache-Control"] = "no-cache"
        # Proxies that buffer would defeat it.
        response.headers["X-Accel-Buffering"] = "no"
        response.timeout = None
        self._respond(response)

    def hears(self, seconds: float) -> None:
        self._heard_s += seconds
        if self._audio is not None:
            self._audio.spend(seconds, trio.current_time())

    async def segment(self, segment: Segment) -> None:
        if self._events is not None:
            await self._events.send(delta_event(delta(segment, is_first=self._n_segments == 0)))
        self._n_segments += 1

    async def _work(self) -> None:
        with self._desk.admit(self._visitor) as scope:
            with scope:
                await self._transcribe()
            if scope.cancelled_caught:
                raise ProtocolError(SERVER_DRAINING, "This server is shutting down: send it again.")

    async def _transcribe(self) -> None:
        upload = await read_upload(
            self._asked.body, self._asked.headers.get("Content-Type", ""), self._desk.limits
        )
        self._wanted = wanted = read_request(
            upload.fields,
            models=self._models,
            languages=self._desk.languages,
            default_language=self._desk.default_language,
        )
        transcript = await self._desk.transcribe(
            Sound(upload.file_name, upload.file), wanted.wishes, self
        )
        if self._events is not None:
            await self._events.send(done_event(transcript))
            await self._events.send(END_OF_STREAM)
            return
        # In a thread: two hours of words are written in some tenths of a second.
        text, media_type = await trio.to_thread.run_sync(
            render, transcript, wanted, limiter=self._desk.threads
        )
        self._respond(Response(text, mimetype=media_type))

    async def _fail(self, error: ApiError) -> None:
        if self._events is None:
            self._respond(answer_error(error, self._asked))
        else:
            await self._events.send(error_event(error.body()))

    def _respond(self, response: Response) -> None:
        response.headers["X-Request-Id"] = self._id
        self._task_status.started(response)


async def _each(events: trio.MemoryReceiveChannel[str]) -> AsyncIterator[str]:
    async with events:
        async for event in events:
            yield event


def _translated(error: Exception) -> ApiError:
    """What to tell a client of it."""
    match error:
        case ApiError():
            return error
        case ProtocolError():
            return of_protocol(error)
        case AudioFileError():
            return of_audio(error)
        case TranscriptionFailedError():
            return of_failure(error)
    logger.error("transcription_failed", exc_info=error)
    return ApiError(
        500, "The server failed on this recording.", kind=SERVER_ERROR, code="internal_error"
    )
