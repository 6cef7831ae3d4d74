"""`fasttalk-stt transcribe FILE...`: recordings to text, JSON or subtitles, without a server.

Files, arguments and outputs are here; `transcription` runs the session, `transcript` and
`subtitles` are the formats. Results go to stdout or a directory, everything else to stderr.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import attrs
import trio
from attrs import define, field, frozen

from fasttalk_stt.connection.memory import MemoryTransport
from fasttalk_stt.service.logging import configure_logging
from fasttalk_stt.settings import Settings
from fasttalk_stt.transcripts.audio_file import AudioFileError
from fasttalk_stt.transcripts.recording import Sound
from fasttalk_stt.transcripts.subtitles import as_srt, as_vtt, cues
from fasttalk_stt.transcripts.transcript import Transcript, as_json, as_text
from fasttalk_stt.transcripts.transcription import (
    ConnectionLike,
    Progress,
    TranscriptionFailedError,
    Watcher,
    Wishes,
    patient,
    transcribe,
    unhurried,
)

if TYPE_CHECKING:
    from fasttalk_stt.inference.engine import Engine

FORMATS = ("text", "json", "srt", "vtt")

SUFFIXES = {"text": ".txt", "json": ".json", "srt": ".srt", "vtt": ".vtt"}

STDOUT = "-"

PROGRESS_INTERVAL_S = 5.0
"""Between progress lines where stderr is no terminal: a log, not an animation."""


class OutputError(OSError):
    """The outputs asked for cannot be written; the message is one line for the user."""


@frozen
class Job:
    """One file to transcribe; `output` None is stdout."""

    path: Path
    output: Path | None


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `transcribe` to the command line."""
    parser = subparsers.add_parser(
        "transcribe",
        help="turn recordings into text or subtitles, without a server",
        description="Transcribe audio files with the server's own pipeline. "
        "Everything else is set as for `serve`, in the environment.",
    )
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="WAV, FLAC or what libsndfile reads"
    )
    parser.add_argument("--model", help="a model name or directory (default: MODEL, else auto)")
    parser.add_argument("--language", help='such as "en" (default: LANGUAGE, else detected)')
    parser.add_argument("--format", choices=FORMATS, default="text", help="default text")
    parser.add_argument(
        "--output",
        default=STDOUT,
        metavar="DIR",
        help="write NAME.txt, .json, .srt or .vtt there; - is stdout (default)",
    )


def run(args: argparse.Namespace) -> int:
    """Transcribe the files; 1 where any of them failed.

    Raises SettingsError, OutputError and the engine's errors.
    """
    settings = offline_settings(
        Settings.from_environment(os.environ), model=args.model, language=args.language
    )
    jobs = plan_jobs(args.files, output=args.output, format_name=args.format)
    # Its stream is stderr: stdout is for results. What a server notes of its clients' mistakes is
    # our own line here, so only warnings are left.
    configure_logging(settings)
    logging.getLogger().setLevel(logging.WARNING)
    # Imported here, so that `--help` and a bad argument need no model library.
    from fasttalk_stt.engines import make_engine  # noqa: PLC0415

    engine = make_engine(settings)
    if sys.stderr.isatty():
        print(f"loading {engine.model_name} ...", file=sys.stderr, flush=True)
    return trio.run(partial(transcribe_jobs, jobs, args.format, settings=settings, engine=engine))


def offline_settings(settings: Settings, *, model: str | None, language: str | None) -> Settings:
    """The settings with the command line's model and language, and without live limits."""
    return attrs.evolve(
        unhurried(settings),
        model=settings.model if model is None else model,
        language=settings.language if language is None else language,
    )


def plan_jobs(files: Sequence[Path], *, output: str, format_name: str) -> list[Job]:
    """Where each file's result goes.

    Raises OutputError where two results would overwrite each other, the directory cannot be, or
    several subtitle files would run together on stdout.
    """
    if output == STDOUT:
        if len(files) > 1 and format_name in ("srt", "vtt"):
            raise OutputError(
                f"{len(files)} files as {format_name} do not fit in one stream: "
                "give --output DIR, or one file"
            )
        return [Job(path=path, output=None) for path in files]
    directory = Path(output)
    if directory.exists() and not directory.is_dir():
        raise OutputError(f"--output {output}: not a directory")
    jobs: dict[Path, Job] = {}
    for path in files:
        target = directory / f"{path.stem}{SUFFIXES[format_name]}"
        if target in jobs:
            raise OutputError(
                f"{jobs[target].path} and {path} would both become {target}: rename one, or "
                "transcribe them into different directories"
            )
        jobs[target] = Job(path=path, output=target)
    return list(jobs.values())


async def transcribe_jobs(
    jobs: Sequence[Job], format_name: str, *, settings: Settings, engine: Engine
) -> int:
    """Load the model once, then one file after another; returns the exit code.

    A file that fails is one line on stderr, and the others are still done; one of which a part
    could not be transcribed is written, and counts as failed. Raises the engine's errors when the
    model cannot be loaded, OSError when a result cannot be written.
    """
    from fasttalk_stt.composition import make_ears, make_resilience  # noqa: PLC0415
    from fasttalk_stt.connection.connection import Connection  # noqa: PLC0415
    from fasttalk_stt.inference.scheduler import Scheduler  # noqa: PLC0415

    scheduler = Scheduler(
        engine, batch_size=settings.batch_size, longest_call_s=settings.transcription_timeout_s
    )
    resilience = make_resilience(settings, scheduler)
    ears = patient(await trio.to_thread.run_sync(make_ears, settings))

    def connect(transport: MemoryTransport) -> ConnectionLike:
        return Connection(transport, settings=settings, resilience=resilience, ears=ears)

    display = ProgressDisplay(sys.stderr, is_terminal=sys.stderr.isatty())
    display.note("loading the model")
    await engine.load()
    failures = 0
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        for job in jobs:
            try:
                transcript = await _transcribe(job, settings, connect, display)
            except (AudioFileError, TranscriptionFailedError) as error:
                display.finish()
                print(f"fasttalk-stt: {error}", file=sys.stderr)
                failures += 1
                continue
            display.finish()
            for problem in transcript.problems:
                print(f"fasttalk-stt: {job.path}: {problem}", file=sys.stderr)
            failures += bool(transcript.problems)
            write(transcript, job, format_name, with_heading=len(jobs) > 1)
        nursery.cancel_scope.cancel()
    return 1 if failures else 0


@frozen
class _Shown(Watcher):
    """Has the progress of one file displayed."""

    display: ProgressDisplay
    name: str

    def progress(self, progress: Progress) -> None:
        self.display.show(self.name, progress)


async def _transcribe(
    job: Job,
    settings: Settings,
    connect: Callable[[MemoryTransport], ConnectionLike],
    display: ProgressDisplay,
) -> Transcript:
    return await transcribe(
        Sound(str(job.path), job.path),
        connect=connect,
        wishes=Wishes(language=settings.language),
        longest_s=math.inf,
        limiter=trio.CapacityLimiter(1),
        watcher=_Shown(display, job.path.name),
    )


def write(transcript: Transcript, job: Job, format_name: str, *, with_heading: bool) -> None:
    """Write a result to its file, or to stdout: text under a heading where there are several
    files, JSON as one object a line."""
    if job.output is not None:
        job.output.parent.mkdir(parents=True, exist_ok=True)
        job.output.write_text(render(transcript, format_name), encoding="utf-8")
        print(f"{job.path} -> {job.output}", file=sys.stderr)
        return
    if format_name == "text" and with_heading:
        sys.stdout.write(f"== {transcript.file} ==\n")
    if format_name == "json":
        sys.stdout.write(json.dumps(as_json(transcript), ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(render(transcript, format_name))
    sys.stdout.flush()


def render(transcript: Transcript, format_name: str) -> str:
    """The whole content of a result file."""
    if format_name == "json":
        return json.dumps(as_json(transcript), ensure_ascii=False, indent=2) + "\n"
    if format_name == "srt":
        return as_srt(cues(transcript.segments))
    if format_name == "vtt":
        return as_vtt(cues(transcript.segments))
    return as_text(transcript)


@define
class ProgressDisplay:
    """How far the work is: one line that changes on a terminal, else a line now and then."""

    stream: TextIO
    is_terminal: bool
    _next_line_at_s: float = field(default=-1.0, init=False)
    _line_open: bool = field(default=False, init=False)

    def note(self, text: str) -> None:
        """Say what happens now, on a terminal; nothing elsewhere."""
        if self.is_terminal:
            self.stream.write(f"\r\x1b[2K{text} ...")
            self.stream.flush()
            self._line_open = True

    def show(self, name: str, progress: Progress) -> None:
        """Say how much of the file has its text."""
        done = progress.settled_ms / progress.duration_ms
        text = (
            f"{name}: {progress.settled_ms / 1000:.0f} of "
            f"{progress.duration_ms / 1000:.0f} s ({done:.0%})"
        )
        if self.is_terminal:
            self.note(text)
            return
        now_s = trio.current_time()
        if self._next_line_at_s < 0:
            # Nothing is said of what is done within the first interval.
            self._next_line_at_s = now_s + PROGRESS_INTERVAL_S
        elif now_s >= self._next_line_at_s:
            self._next_line_at_s = now_s + PROGRESS_INTERVAL_S
            self.stream.write(f"{text}\n")
            self.stream.flush()

    def finish(self) -> None:
        """Make room for other output."""
        if self._line_open:
            self.stream.write("\r\x1b[2K")
            self.stream.flush()
            self._line_open = False
