"""What an operator may set, each value checked once, at the start.

One frozen class, read from the environment by `Settings.from_environment`. A bad value stops the
start with one line that names the variable, the value and what is allowed. Nothing else in the
package reads the environment. Hypercorn's own settings are in `hypercorn.toml`, read by `server`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import attrs
from attrs import field, frozen

from fasttalk_stt.access.addresses import read_networks
from fasttalk_stt.access.api_keys import AccessError
from fasttalk_stt.access.origins import read_origins
from fasttalk_stt.access.variables import check_promises
from fasttalk_stt.protocol.config import SessionConfig
from fasttalk_stt.protocol.values import is_language_tag

MASK = "********"
"""What is shown of a secret that is set."""

VAD_KINDS = ("cascade", "webrtc", "silero")
ENDPOINTERS = ("silence", "adaptive", "smart")
ALIGNERS = ("auto", "ctc", "wav2vec2", "attention")

COMPUTE_TYPES = (
    "auto",
    "float32",
    "float16",
    "bfloat16",
    "int16",
    "int8",
    "int8_float32",
    "int8_float16",
    "int8_bfloat16",
)
"""Those of CTranslate2, and "auto": float16 on a GPU, int8 on a CPU."""


class SettingsError(ValueError):
    """A setting cannot be used; the message is one line for the operator."""


@frozen
class EffectiveSetting:
    """One line of `fasttalk-stt config`; `source` says where the value came from."""

    variable: str
    value: object
    source: Literal["default", "environment"]


def _refuse(variable: str, value: object, allowed: str) -> SettingsError:
    text = ",".join(map(str, value)) if isinstance(value, tuple) else value
    return SettingsError(f"{variable}={text!s} is not allowed: expected {allowed}")


def _setting(
    variable: str,
    parse: Callable[[str], object],
    fits: Callable[[Any], bool],
    allowed: str,
    *,
    default: Any,
) -> Any:
    """A field that knows its variable: `parse` reads the text, `fits` holds its range."""

    def validate(_instance: object, _attribute: object, value: object) -> None:
        if not fits(value):
            raise _refuse(variable, value, allowed)

    def read(text: str) -> object:
        try:
            return parse(text)
        except ValueError as error:
            raise _refuse(variable, text, allowed) from error

    return field(default=default, validator=validate, metadata={"variable": variable, "read": read})


def _whole(variable: str, default: int, low: int, high: int, unit: str = "") -> Any:
    def fits(value: object) -> bool:
        return type(value) is int and low <= value <= high

    return _setting(
        variable, int, fits, f"a whole number {low}-{high}{unit and ' '}{unit}", default=default
    )


def _seconds(variable: str, default: float, low: float, high: float) -> Any:
    def fits(value: Any) -> bool:
        return type(value) in (int, float) and math.isfinite(value) and low <= value <= high

    return _setting(
        variable, float, fits, f"a number {low:g}-{high:g}, in seconds", default=default
    )


def _switch(variable: str, default: bool) -> Any:
    words = {"true": True, "false": False}

    def read(text: str) -> object:
        return words.get(text.lower(), text)

    return _setting(
        variable, read, lambda value: type(value) is bool, "true or false", default=default
    )


def _choice(variable: str, default: str, choices: tuple[str, ...]) -> Any:
    return _setting(
        variable,
        str.lower,
        lambda value: value in choices,
        f"one of {', '.join(choices)}",
        default=default,
    )


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 253 and value.isprintable()


def _name(variable: str, default: str, allowed: str) -> Any:
    return _setting(variable, str, _is_name, allowed, default=default)


def _language(text: str) -> str | None:
    return None if text.lower() in {"auto", "null"} else text


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _file(variable: str, allowed: str) -> Any:
    """A file that exists; None where the variable is unset. What it holds is read by its user."""
    return _setting(
        variable,
        Path,
        lambda value: value is None or (isinstance(value, Path) and value.is_file()),
        f"{allowed} that can be read",
        default=None,
    )


def _secret(variable: str) -> Any:
    """A text that is shown nowhere, not even where it is refused; its user checks it."""
    metadata = {"variable": variable, "read": str, "secret": True}
    return field(default=None, repr=False, metadata=metadata)


def _claim(variable: str) -> Any:
    return _setting(
        variable,
        str,
        lambda value: value is None or (isinstance(value, str) and value.isprintable()),
        "a printable text",
        default=None,
    )


@frozen(kw_only=True)
class Settings:
    """All settings, every value in range.

    An attribute is named like its environment variable, in lower case, with a unit where the
    variable has none. Raises SettingsError for a value out of range, also when made by hand.
    """

    # Reachable from other machines by default: the service is one container among several.
    websocket_host: str = _name("WEBSOCKET_HOST", "0.0.0.0", "a host name or address")  # noqa: S104
    # Port 0 lets the system choose a free one; `serve` reports it.
    websocket_port: int = _whole("WEBSOCKET_PORT", 8000, 0, 65_535)
    monitoring_port: int = _whole("MONITORING_PORT", 9091, 0, 65_535)
    websocket_max_connections: int = _whole("WEBSOCKET_MAX_CONNECTIONS", 50, 1, 10_000)
    drain_timeout_s: float = _seconds("DRAIN_TIMEOUT", 20.0, 0.0, 600.0)
    max_session_s: float = _seconds("MAX_SESSION_SECONDS", 14_400.0, 60.0, 604_800.0)
    max_session_errors: int = _whole("MAX_SESSION_ERRORS", 10, 1, 1_000)
    # An open utterance of continuous speech may need about 28 s (the decoder's window) before
    # any of it can be committed, so a smaller bound could hold a client back for ever.
    max_pending_s: float = _seconds("MAX_PENDING_SECONDS", 60.0, 30.0, 600.0)

    buffer_duration_s: float = _seconds("BUFFER_DURATION", 2.0, 0.5, 20.0)
    min_audio_length_s: float = _seconds("MIN_AUDIO_LENGTH", 0.5, 0.0, 5.0)
    max_silence_duration_s: float = _seconds("MAX_SILENCE_DURATION", 2.0, 0.5, 30.0)
    endpoint_silence_ms: int = _whole("ENDPOINT_SILENCE_MS", 500, 100, 5_000, "ms")
    vad: str = _choice("VAD", "cascade", VAD_KINDS)
    vad_sensitivity: int = _whole("VAD_SENSITIVITY", 2, 0, 3)
    endpointer: Literal["silence", "adaptive", "smart"] = _choice(
        "ENDPOINTER", "adaptive", ENDPOINTERS
    )
    speculation: bool = _switch("SPECULATION", True)
    backchannels_file: Path | None = _file("BACKCHANNELS_FILE", "a TOML file")
    """None: the lists that come with the package."""
    language: str | None = _setting(
        "LANGUAGE",
        _language,
        lambda value: value is None or is_language_tag(value),
        'a language tag such as "en" or "pt-BR", or "auto" to detect it',
        default=None,
    )

    model: str = _name("MODEL", "auto", 'a model name such as "base", a directory, or "auto"')
    model_fallbacks: tuple[str, ...] | None = _setting(
        "MODEL_FALLBACKS",
        _names,
        lambda value: value is None or all(map(_is_name, value)),
        "model names separated by commas, largest first",
        default=None,
    )
    """None: the smaller ones of what is installed."""
    model_cache: Path | None = _setting(
        "MODEL_CACHE",
        Path,
        lambda value: value is None or (isinstance(value, Path) and not value.is_file()),
        "a directory",
        default=None,
    )
    """None: the model library's own place."""
    device: str = _choice("DEVICE", "auto", ("auto", "cpu", "cuda"))
    compute_type: str = _choice("COMPUTE_TYPE", "auto", COMPUTE_TYPES)
    cpu_threads: int = _whole("CPU_THREADS", 0, 0, 1_024)
    """Of one model call; 0: its share of the cores, see `inference.seats`."""
    audio_context: Literal["auto", "full"] = _choice("AUDIO_CONTEXT", "auto", ("auto", "full"))
    aligner: Literal["auto", "ctc", "wav2vec2", "attention"] = _choice("ALIGNER", "auto", ALIGNERS)
    align_model: str | None = _setting(
        "ALIGN_MODEL",
        str,
        lambda value: value is None or _is_name(value),
        "the name or the directory of a wav2vec2 model",
        default=None,
    )
    """None: WhisperX's choice for the language."""
    batch_size: int = _whole("BATCH_SIZE", 16, 1, 256)
    """The most; never more than are worth it on the device, see `inference.seats`."""
    promised_latency_ms: int = _whole("PROMISED_LATENCY_MS", 500, 0, 60_000, "ms")
    transcription_timeout_s: float = _seconds("TRANSCRIPTION_TIMEOUT", 10.0, 0.5, 300.0)
    transcription_failure_threshold: int = _whole("TRANSCRIPTION_FAILURE_THRESHOLD", 5, 1, 1_000)
    gpu_failure_threshold: int = _whole("GPU_FAILURE_THRESHOLD", 3, 1, 1_000)
    engine_stuck_s: float = _seconds("ENGINE_STUCK_S", 15.0, 1.0, 3_600.0)
    engine_dead_s: float = _seconds("ENGINE_DEAD_S", 120.0, 1.0, 86_400.0)

    # What the secrets and the files hold is checked by `service.access`, at the start too.
    api_keys: str | None = _secret("API_KEYS")
    api_keys_file: Path | None = _file("API_KEYS_FILE", "a TOML file of [keys.NAME] tables")
    jwt_secret: str | None = _secret("JWT_SECRET")
    jwt_secret_file: Path | None = _file("JWT_SECRET_FILE", "a file with a shared secret")
    jwt_public_key_file: Path | None = _file("JWT_PUBLIC_KEY_FILE", "a public key in PEM")
    jwt_jwks_file: Path | None = _file("JWT_JWKS_FILE", "a JSON Web Key Set")
    jwt_audience: str | None = _claim("JWT_AUDIENCE")
    jwt_issuer: str | None = _claim("JWT_ISSUER")
    jwt_leeway_s: float = _seconds("JWT_LEEWAY_S", 30.0, 0.0, 600.0)
    jwt_query_max_s: float = _seconds("JWT_QUERY_MAX_S", 300.0, 1.0, 86_400.0)
    allowed_origins: tuple[str, ...] | None = _setting(
        "ALLOWED_ORIGINS",
        read_origins,
        lambda value: value is None or isinstance(value, tuple),
        'origins such as "https://app.example.com" separated by commas, or "*"',
        default=None,
    )
    """None: every page may."""
    trusted_proxies: tuple[str, ...] = _setting(
        "TRUSTED_PROXIES",
        read_networks,
        lambda value: isinstance(value, tuple),
        'networks such as "10.0.0.0/8" separated by commas',
        default=(),
    )
    connection_rate_limit: int = _whole("CONNECTION_RATE_LIMIT", 60, 0, 1_000_000, "a minute")
    """For each key, subject or address; 0: no limit."""
    message_rate_limit: int = _whole("MESSAGE_RATE_LIMIT", 200, 0, 1_000_000, "a second")
    """Of one connection, see `access.rates`; 0: no limit."""
    max_transcriptions: int = _whole("MAX_TRANSCRIPTIONS", 4, 0, 1_000)
    """Recordings sent to /v1/audio/transcriptions, at a time; 0: none are taken."""
    max_upload_bytes: int = _whole("MAX_UPLOAD_BYTES", 26_214_400, 1_024, 1_073_741_824, "bytes")
    """OpenAI's limit. An upload is held in memory."""
    upload_timeout_s: float = _seconds("UPLOAD_TIMEOUT", 120.0, 1.0, 3_600.0)
    max_recording_s: float = _seconds("MAX_RECORDING_SECONDS", 7_200.0, 1.0, 86_400.0)

    monitoring_token: str | None = _secret("MONITORING_TOKEN")
    monitoring_token_file: Path | None = _file("MONITORING_TOKEN_FILE", "a file with a token")

    dashboard_transcripts: bool = _switch("DASHBOARD_TRANSCRIPTS", False)
    log_format: str = _choice("LOG_FORMAT", "auto", ("auto", "console", "json"))
    log_level: str = _choice("LOG_LEVEL", "info", ("debug", "info", "warning", "error"))
    log_file: Path | None = _setting(
        "LOG_FILE",
        Path,
        lambda value: value is None or (isinstance(value, Path) and not value.is_dir()),
        "a file, such as ./logs/stt.log",
        default=None,
    )
    """None: the log goes to stderr alone."""
    log_file_max_mb: int = _whole("LOG_FILE_MAX_MB", 50, 1, 100_000, "MB")
    log_transcripts: bool = _switch("LOG_TRANSCRIPTS", False)
    traces: str = _choice("TRACES", "none", ("none", "otlp"))
    """Where to is said by OpenTelemetry's own variables."""

    def __attrs_post_init__(self) -> None:
        if self.websocket_port == self.monitoring_port != 0:
            raise _refuse(
                "MONITORING_PORT", self.monitoring_port, "another port than WEBSOCKET_PORT"
            )

    def session_defaults(self) -> SessionConfig:
        """What a session begins with that asks for nothing else."""
        return SessionConfig(
            language=self.language,
            buffer_duration=self.buffer_duration_s,
            endpoint_silence_ms=self.endpoint_silence_ms,
            vad_sensitivity=self.vad_sensitivity,
        )

    @classmethod
    def variables(cls) -> tuple[str, ...]:
        """The names of all settings."""
        return tuple(attribute.metadata["variable"] for attribute in attrs.fields(cls))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings from `environ`; a variable that is empty counts as unset.

        Raises SettingsError for the first bad value, and for a variable that promises a
        protection and does not give it.
        """
        try:
            used = {name for name, text in environ.items() if text.strip()}
            check_promises(used, set(cls.variables()))
        except AccessError as error:
            raise SettingsError(str(error)) from None
        values = {}
        for attribute in attrs.fields(cls):
            text = environ.get(attribute.metadata["variable"], "").strip()
            if text:
                values[attribute.name] = attribute.metadata["read"](text)
        return cls(**values)

    def effective(self, environ: Mapping[str, str]) -> list[EffectiveSetting]:
        """List every value with its source, secrets masked; `environ` is what the settings were read
        from."""
        return [
            EffectiveSetting(
                variable=attribute.metadata["variable"],
                value=(
                    MASK
                    if attribute.metadata.get("secret") and getattr(self, attribute.name)
                    else getattr(self, attribute.name)
                ),
                source=(
                    "environment"
                    if environ.get(attribute.metadata["variable"], "").strip()
                    else "default"
                ),
            )
            for attribute in attrs.fields(type(self))
        ]
