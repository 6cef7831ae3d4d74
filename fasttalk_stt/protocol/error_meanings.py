"""What each error code says in words: what happened, and what its client does then.

For the published documents (`asyncapi`); what a code fixes for programs is in `errors`.
"""

from __future__ import annotations

from attrs import frozen

from fasttalk_stt.protocol import errors


@frozen
class Meaning:
    """Of one code, for a client's engineer."""

    happened: str
    then: str


_NO_EFFECT = Meaning(
    "a message was not understood and had no effect", "correct it; the session goes on"
)
_DROPPED = Meaning(
    "a frame was dropped; its time counts as discarded",
    "send raw samples as the configuration says; the session goes on",
)
_NO_TEXT = Meaning(
    "a segment has no text after all tries and is discarded",
    "ask the speaker again; the session goes on",
)

ERROR_MEANINGS: dict[str, Meaning] = {
    errors.INVALID_JSON.code: _NO_EFFECT,
    errors.UNKNOWN_MESSAGE_TYPE.code: _NO_EFFECT,
    errors.INVALID_MESSAGE.code: _NO_EFFECT,
    errors.INVALID_CONFIG.code: _NO_EFFECT,
    errors.SESSION_NOT_STARTED.code: Meaning(
        "out of place; of audio outside a session only the first frame is told",
        "correct the client",
    ),
    errors.SESSION_ALREADY_STARTED.code: Meaning(
        "out of place. Followed by a close with 1008: another connection has taken the session over",
        "correct the client; do not come back with the id of a session that was taken over",
    ),
    errors.AUDIO_PROCESSING_ERROR.code: _DROPPED,
    errors.UNSUPPORTED_AUDIO_FORMAT.code: _DROPPED,
    errors.TRANSCRIPTION_FAILED.code: _NO_TEXT,
    errors.TRANSCRIPTION_TIMEOUT.code: _NO_TEXT,
    errors.GPU_MEMORY_EXHAUSTION.code: _NO_TEXT,
    errors.GPU_ERROR.code: _NO_TEXT,
    errors.SERVICE_UNAVAILABLE.code: Meaning(
        "refused: there is no model yet, or it rests. In a session: the model has failed too often and "
        "rests; a segment was discarded, the session goes on",
        "another server, or wait `retry_after` seconds",
    ),
    errors.SERVER_FULL.code: Meaning("refused", "another server, or wait `retry_after` seconds"),
    errors.RATE_LIMITED.code: Meaning(
        "refused: too many connections in a short time. On a connection: too many text messages, of "
        "which those beyond were dropped",
        "wait `retry_after` seconds; a connection on which it goes on is closed with 1008",
    ),
    errors.SESSION_TOO_LONG.code: Meaning(
        "the session was ended, the connection stays", "start another session"
    ),
    errors.TOO_MANY_ERRORS.code: Meaning(
        "too many faults of the client in one session (`MAX_SESSION_ERRORS`)", "correct the client"
    ),
    errors.UNAUTHORIZED.code: Meaning(
        "refused. In a session: the credential has expired or was revoked",
        "get a valid credential",
    ),
    errors.FORBIDDEN_ORIGIN.code: Meaning(
        "refused: a page that is not allowed here", "ask the operator (`ALLOWED_ORIGINS`)"
    ),
    errors.INTERNAL_ERROR.code: Meaning("a fault of the server", "connect again"),
    errors.SERVER_DRAINING.code: Meaning(
        "refused. In a session: the server is about to stop",
        "in a session read on until `session_ended`; then go to another server",
    ),
}
"""By the codes of `errors.ERROR_KINDS`, each of them."""
