"""One log for the service and the libraries under it: lines for people, JSON for machines.

Configured once by whoever starts a process (`cli`, `asgi`); modules only ask for a logger. Lines are
written by threads: a terminal, a pipe or a disk that is slow does not hold the event loop.
"""

from __future__ import annotations

import atexit
import logging
import queue
import sys
import threading
from contextlib import suppress
from logging.handlers import QueueHandler, RotatingFileHandler
from pathlib import Path
from typing import Protocol, TextIO

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

from fasttalk_stt.settings import Settings, SettingsError

LINES_WAITING = 10_000
"""Of one destination that does not take them; what comes beyond is dropped and counted."""
FORMER_FILES = 5
"""That are kept beside LOG_FILE: `stt.log.1` is the latest of them."""
FLUSH_S = 2.0
"""At the end of the process, for what still waits."""


def configure_logging(settings: Settings, *, stream: TextIO | None = None) -> None:
    """Send structlog and the standard library's loggers to a stream, stderr by default, and to LOG_FILE.

    LOG_FORMAT "auto" is console on a terminal, else JSON; the file is JSON. Raises SettingsError where the
    file cannot be written.
    """
    stream = sys.stderr if stream is None else stream
    log_format = settings.log_format
    if log_format == "auto":
        log_format = "console" if stream.isatty() else "json"
    console = structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    targets: list[tuple[Target, list[Processor]]] = [
        (_Stream(stream), [console] if log_format == "console" else _json())
    ]
    if settings.log_file is not None:
        targets.append((_rotating(settings.log_file, settings.log_file_max_mb), _json()))
    finish_logging()
    # `logging` does it by itself only for handlers that no library has made it forget.
    atexit.unregister(finish_logging)
    atexit.register(finish_logging)
    root = logging.getLogger()
    root.handlers = [BackgroundHandler(target, _formatter(final)) for target, final in targets]
    root.setLevel(settings.log_level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def finish_logging() -> None:
    """Write what waits, within FLUSH_S for each destination. What is logged after that is lost."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, BackgroundHandler):
            handler.finish()


_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def _json() -> list[Processor]:
    # Tracebacks without local variables: those hold people's audio and words.
    return [
        structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
        structlog.processors.JSONRenderer(),
    ]


def _formatter(final: list[Processor]) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
    )


class Target(Protocol):
    """Where lines go, one by one, from one thread."""

    def handle(self, record: logging.LogRecord) -> object: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


class _Stream:
    """As a `logging.StreamHandler`, whose lock `logging` wants at the end of the process: while somebody
    writes to a pipe that nobody reads it would never get it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def handle(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):  # nobody reads it any more, or it is closed
            self._stream.write(f"{record.getMessage()}\n")
            self._stream.flush()

    def flush(self) -> None:
        """Each line was flushed."""

    def close(self) -> None:
        """The stream is somebody else's."""


def _rotating(file: Path, max_mb: int) -> Target:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return RotatingFileHandler(
            file, maxBytes=max_mb * 1_000_000, backupCount=FORMER_FILES, encoding="utf-8"
        )
    except OSError as error:
        raise SettingsError(f"LOG_FILE={file} cannot be written: {error.strerror}") from error


class BackgroundHandler(QueueHandler):
    """Formats a line where it was logged, with the context of that task, and has a thread write it."""

    queue: queue.Queue[logging.LogRecord | threading.Event | None]

    def __init__(self, target: Target, formatter: logging.Formatter) -> None:
        super().__init__(queue.Queue(LINES_WAITING))
        self.setFormatter(formatter)
        self._target = target
        self._dropped = 0
        # A daemon: nobody waits for a reader that never reads, at the end least of all.
        self._writer = threading.Thread(target=self._write, name="log writer", daemon=True)
        self._writer.start()

    def enqueue(self, record: logging.LogRecord) -> None:
        """Leave a line to the thread; never waits."""
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self._dropped += 1

    def flush(self) -> None:
        """Wait for the lines logged before, for at most FLUSH_S."""
        written = threading.Event()
        try:
            self.queue.put(written, timeout=FLUSH_S)
        except queue.Full:
            return
        written.wait(FLUSH_S)

    def close(self) -> None:
        """Write what waits. It can be used on: `logging.config`, which Hypercorn calls for its access log,
        closes every handler there is and leaves them where they are."""
        self.flush()
        super().close()

    def finish(self) -> None:
        """Write what waits, within FLUSH_S, and end the thread."""
        with suppress(queue.Full):
            self.queue.put(None, timeout=FLUSH_S)
            self._writer.join(FLUSH_S)
        super().close()

    def _write(self) -> None:
        while (item := self.queue.get()) is not None:
            if isinstance(item, threading.Event):
                with suppress(OSError, ValueError):  # it is full, or closed: `handle` has told
                    self._target.flush()
                item.set()
                continue
            self._target.handle(item)
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                self._target.handle(self._dropped_line(dropped))
        self._target.close()

    def _dropped_line(self, count: int) -> logging.LogRecord:
        line = logging.LogRecord(
            __name__, logging.WARNING, __file__, 0, "log_lines_dropped", (), None
        )
        line.count = count
        line.msg = self.format(line)
        return line
