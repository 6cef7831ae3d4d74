"""Build a target of the Dockerfile and try what it promises: `python -m tools.rehearse_image --help`.

As root, with podman, buildah and runc. The container's root is read-only, its user has no rights. What is
tried: where it may write, its health check, the time to readiness with a cold and a filled cache,
a recording, a drain with a session open, a stop while it starts. Ends with a table of what the image holds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import trio
from trio_websocket import ConnectionClosed, open_websocket_url

from fasttalk_stt.transcripts.audio_file import frames, read_clip
from tools.container_engine import Container, EngineError, base_of, build, call, running, stand_in
from tools.demo import HOST, free_port, is_ready

READY_WITHIN_S = 300.0
POLL_S = 0.1
GRACE_S = 35.0
"""What the Dockerfile advises for `docker stop`."""
SPOKEN = Path("samples/long_sentence.flac")
EARLY_WORD = "train"
"""Of what is said in the part of it that is heard before the stop."""

PARTS = {
    "base system": "/usr /bin /lib /etc /var",
    "CUDA libraries": "/opt/fasttalk/lib/python3*/site-packages/nvidia",
    "torch, torchaudio, torchvision": "/opt/fasttalk/lib/python3*/site-packages/torch "
    "/opt/fasttalk/lib/python3*/site-packages/torchaudio "
    "/opt/fasttalk/lib/python3*/site-packages/torchvision*",
    "Triton": "/opt/fasttalk/lib/python3*/site-packages/triton",
    "everything in /opt/fasttalk": "/opt/fasttalk",
    "fasttalk_stt": "/opt/fasttalk/lib/python3*/site-packages/fasttalk_stt",
}
"""Folders of the image; the last but one contains those before it."""


class PromiseError(Exception):
    """The image does not do what it should; the message is for whoever changes it."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--target", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--stand-in",
        action="store_true",
        help="make the base from Debian's packages (debootstrap) where it is not there already",
    )
    parser.add_argument("--image", help="take this one instead of building")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument(
        "--volume",
        action="append",
        default=[],
        metavar="HOST:CONTAINER[:ro]",
        help="mounted while building, such as a pip.conf for an index of your own",
    )
    parser.add_argument("--models", nargs="+", default=["tiny.en", "base"], metavar="MODEL")
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args()
    try:
        figures = rehearse(options)
    except (EngineError, PromiseError) as error:
        print(f"rehearse_image: {error}", file=sys.stderr)
        return 1
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def rehearse(options: argparse.Namespace) -> dict[str, Any]:
    """All of it; the figures. Raises EngineError, PromiseError."""
    figures: dict[str, Any] = {}
    image = options.image
    if image is None:
        image = f"localhost/fasttalk-stt:{options.target}"
        if options.stand_in:
            _note("making the base")
            stand_in(base_of(Path("Dockerfile")))
        _note(f"building {image}")
        started = time.monotonic()
        build(options.target, image, arguments=options.build_arg, volumes=options.volume)
        figures["build_s"] = round(time.monotonic() - started)
    figures["image"] = image
    volume = f"rehearsal-{options.target}-{free_port()}"
    try:
        _try_out(image, volume, options.models, figures)
    finally:
        call(["podman", "volume", "rm", "--force", volume])
    _note("all promises kept")
    return figures


def _try_out(image: str, volume: str, models: list[str], figures: dict[str, Any]) -> None:
    ready = figures["ready_s"] = {}
    for model in models:
        for start in ("first", "second"):
            settings, port = _settings(model)
            began = time.monotonic()
            with running(image, volume, settings) as container:
                _wait_until_ready(container, port)
                ready[f"{model}, {start} start"] = round(time.monotonic() - began, 1)
                _note(f"{model}: ready after {ready[f'{model}, {start} start']} s ({start} start)")
                if start == "first":
                    continue
                _check_confinement(container)
                figures.setdefault("memory_mib", {})[model] = _peak_mib(container)
                text, drained_s = trio.run(partial(_speak_and_stop, container, port))
                _note(f"heard {text!r}; drained within {drained_s:.1f} s")
                figures["drain_s"] = round(drained_s, 1)
    settings, _ = _settings(models[0])
    with running(image, volume, settings) as container:
        # The model is being loaded, in a thread that nothing can interrupt.
        time.sleep(1.0)
        container.signal("TERM")
        began = time.monotonic()
        container.exit_code(within_s=GRACE_S)
        figures["stop_while_starting_s"] = round(time.monotonic() - began, 1)
        _note(f"stopped while starting within {figures['stop_while_starting_s']} s")
    figures["mib"] = _sizes(image)
    for part, size_mib in figures["mib"].items():
        _note(f"{size_mib:7,} MiB  {part}")


def _settings(model: str) -> tuple[Mapping[str, str], int]:
    port = free_port()
    return {
        "MODEL": model,
        "WEBSOCKET_HOST": HOST,
        "WEBSOCKET_PORT": str(port),
        "MONITORING_PORT": "0",
        "LOG_FORMAT": "json",
    }, port


def _wait_until_ready(container: Container, port: int) -> None:
    deadline_s = time.monotonic() + READY_WITHIN_S
    while not is_ready(port):
        if time.monotonic() > deadline_s or not container.is_running():
            raise PromiseError(f"it does not become ready:\n{container.log()}")
        time.sleep(POLL_S)


STALE = """
from pathlib import Path
files = list(Path("/opt/fasttalk/lib").rglob("*.pyc"))
print(len(files), sum(file.read_bytes()[4:8] != bytes((1, 0, 0, 0)) for file in files))
"""
"""Counts compiled files, and those that are compared with the time of their source when they are imported."""


def _check_confinement(container: Container) -> None:
    """Where it may write, what it is and how it was compiled. Raises PromiseError."""
    if not container.is_healthy():
        raise PromiseError("its health check fails while it is ready")
    who = container.shell("id -u; id -g; cat /proc/1/comm").split()
    if who != ["10001", "10001", "tini"]:
        raise PromiseError(f"user, group and first process are {who}")
    refused = container.shell("touch /x; touch /home/fasttalk/x; touch /opt/fasttalk/x")
    if refused.count("Read-only file system") != 3:
        raise PromiseError(f"its root can be written:\n{refused}")
    if container.shell("touch /tmp/x /models/x && rm /models/x && echo both").strip() != "both":
        raise PromiseError("it cannot write to its tmpfs or its volume")
    n_compiled, n_by_time = map(int, container.shell(f"python3 -c '{STALE}'").split())
    if n_compiled == 0 or n_by_time:
        raise PromiseError(
            f"{n_by_time} of {n_compiled} compiled files hang on their source's time"
        )
    rights = container.shell("grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status").split()
    if rights[1::2] != ["0" * 16, "0" * 16, "1"]:
        raise PromiseError(f"its rights are {rights}")


def _peak_mib(container: Container) -> int:
    """The most memory that the server ever had."""
    found = container.shell("cat /proc/[0-9]*/status | grep VmHWM").split()
    return max(int(kib) for kib in found[1::3]) // 1024


async def _speak_and_stop(container: Container, port: int) -> tuple[str, float]:
    """A session that is told to stop in the middle of a sentence: its text, and the drain's seconds.

    Raises PromiseError where words, the account or the close code are not as promised.
    """
    clip = read_clip(SPOKEN)
    texts: list[str] = []
    ended: list[Mapping[str, Any]] = []
    config = {"language": "en", "sample_rate": clip.rate_hz}
    code = None
    async with open_websocket_url(f"ws://{HOST}:{port}/ws/transcribe") as socket:
        await socket.send_message(json.dumps({"type": "start_session", "session_config": config}))

        async def speak() -> None:
            for frame in frames(clip, frame_ms=32.0):
                try:
                    await socket.send_message(frame.payload)
                except ConnectionClosed:
                    return
                await trio.sleep(0.032)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(speak)
            await trio.sleep(clip.duration_ms / 1000 * 0.6)
            began = trio.current_time()
            await trio.to_thread.run_sync(container.signal, "TERM")
            try:
                while True:
                    message = json.loads(await socket.get_message())
                    if message["type"] == "transcription":
                        texts.append(message["data"]["text"])
                    elif message["type"] == "session_ended":
                        ended.append(message)
            except ConnectionClosed as closed:
                code = closed.reason.code
            nursery.cancel_scope.cancel()
    exit_code = await trio.to_thread.run_sync(partial(container.exit_code, within_s=GRACE_S))
    drained_s = trio.current_time() - began
    text = " ".join(texts)
    reasons = [message["reason"] for message in ended]
    if (code, exit_code, reasons) != (1001, 0, ["draining"]) or EARLY_WORD not in text:
        raise PromiseError(f"it stopped with {code}, {exit_code}, {reasons} and the text {text!r}")
    return text, drained_s


def _sizes(image: str) -> dict[str, int]:
    """What the image holds, in MiB of files."""
    script = "; ".join(f"du -csm {where} 2>/dev/null | tail -1" for where in PARTS.values())
    said = call(
        [
            *("podman", "--runtime", "runc", "run", "--rm", "--network", "host"),
            *("--ulimit", "nofile=4096", "--ulimit", "nproc=4096"),
            *("--entrypoint", "sh", image, "-c", script),
        ]
    )
    return {part: int(line.split()[0]) for part, line in zip(PARTS, said.splitlines(), strict=True)}


def _note(text: str) -> None:
    print(f"==> {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
