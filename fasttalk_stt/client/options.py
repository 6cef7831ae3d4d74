"""What a caller may choose: the session's configuration, and how the client itself behaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ssl import SSLContext

import attrs
from attrs import Factory, field, frozen

from fasttalk_stt.protocol.config import Encoding, SessionConfig, read_session_config
from fasttalk_stt.protocol.errors import ProtocolError


@frozen(kw_only=True)
class SessionOptions:
    """The `session_config` of a session; None leaves a field to the server's default.

    `extra` goes in as it is: fields of newer servers, or {"language": None} to have the language
    detected where the server's default names one.
    """

    language: str | None = None
    enable_timestamps: bool | None = None
    enable_vad: bool | None = None
    buffer_duration: float | None = None
    interim_results: bool | None = None
    fasttalk_mode: bool | None = None
    barge_in_enabled: bool | None = None
    endpoint_silence_ms: int | None = None
    vad_sensitivity: int | None = None
    encoding: Encoding = "f32le"
    sample_rate: int = 16_000
    vocabulary: Sequence[str] | None = None
    eager_results: bool | None = None
    session_id: str | None = None
    user_id: str | None = None
    conversation_id: str | None = None
    extra: Mapping[str, object] = Factory(dict)

    def document(self) -> dict[str, object]:
        """The JSON object for `start_session`.

        Raises ValueError where a value is not allowed, with the field and what would be.
        """
        given = attrs.asdict(self, filter=lambda _, value: value is not None)
        extra = given.pop("extra")
        if self.vocabulary is not None:
            given["vocabulary"] = list(self.vocabulary)
        document = {**given, **extra}
        try:
            read_session_config(document, SessionConfig())
        except ProtocolError as error:
            raise ValueError(error.message) from error
        return document

    @property
    def bytes_per_sample(self) -> int:
        return 4 if self.encoding == "f32le" else 2


def _at_least(low: float) -> object:
    def check(_: object, attribute: attrs.Attribute[float], value: float) -> None:
        if not value >= low:
            raise ValueError(f"{attribute.name} is {value}; allowed is {low:g} or more")

    return check


def _number(default: float, low: float) -> float:
    number: float = field(default=default, validator=_at_least(low))  # type: ignore[call-overload]
    return number


@frozen(kw_only=True)
class ClientSettings:
    """How the client connects, waits and gives up; all times in seconds.

    `max_unsettled_s`: seconds of audio that may be unsent or without an outcome before `send_audio`
    waits; nothing is ever dropped. The server's own bound is 60 s, and one utterance may take 30.
    `max_tries`: failed attempts in one outage before it is given up; an outage is over once the
    server has settled audio again. `patience_s`: the longest outage, waits that a busy server asked
    for included. `heartbeat_timeout_s`: silence after a ping until the connection is taken for dead;
    a burst of audio faster than real time adds its length, since the ping waits behind it.
    `max_queued_events`: events nobody has taken; then reading stops, and the server cuts off who
    takes nothing for 10 s, which ends in a resume.
    """

    connect_timeout_s: float = _number(10.0, 0.001)
    start_timeout_s: float = _number(10.0, 0.001)
    close_timeout_s: float = _number(2.0, 0.0)
    heartbeat_interval_s: float = _number(1.0, 0.01)
    heartbeat_timeout_s: float = _number(5.0, 0.01)
    max_unsettled_s: float = _number(60.0, 1.0)
    max_tries: int = field(default=3, validator=attrs.validators.ge(0))
    base_delay_s: float = _number(0.5, 0.0)
    patience_s: float = _number(60.0, 0.0)
    max_queued_events: int = field(default=1000, validator=attrs.validators.ge(1))
    max_message_bytes: int = field(default=4 * 1024 * 1024, validator=attrs.validators.ge(1024))
    ssl_context: SSLContext | None = field(default=None, repr=False)
