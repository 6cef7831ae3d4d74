"""Images and containers by podman, buildah and runc, which need no daemon (packages of those names).

Containers run as docker-compose.yml has it: a read-only root, no capabilities, nothing to rise by.
"""

from __future__ import annotations

import re
import resource
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

BUILT_WITHIN_S = 3_600.0
ANSWERED_WITHIN_S = 120.0
SUITES = {"11": "bullseye", "12": "bookworm", "13": "trixie"}
"""Debian's releases by the numbers that tags of its image begin with."""


class EngineError(Exception):
    """A command failed; the message ends with what it said."""


def call(command: Sequence[str], *, limit_s: float = ANSWERED_WITHIN_S) -> str:
    """What a command prints. Raises EngineError where it fails, is missing or takes too long."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except FileNotFoundError as error:
        raise EngineError(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"{' '.join(command)}: not done within {limit_s:g} s") from error
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise EngineError(f"{' '.join(command)}: exit code {done.returncode}\n{said}")
    return done.stdout


def base_of(dockerfile: Path) -> str:
    """The image that all stages begin with."""
    (base,) = re.findall(r"^ARG BASE_IMAGE=(\S+)", dockerfile.read_text(encoding="utf-8"), re.M)
    return str(base)


def stand_in(base: str) -> None:
    """Make what an image of Debian holds from Debian's own packages, under its name, where it is not there.

    For machines that reach no registry of images. Raises EngineError, also for another base.
    """
    if not subprocess.run(["podman", "image", "exists", base], check=False).returncode:
        return
    release = re.fullmatch(r"debian:(\d+)[.\d]*-slim", base)
    if release is None or release[1] not in SUITES:
        raise EngineError(f"no stand-in is known for {base}")
    with tempfile.TemporaryDirectory(prefix="stand-in-") as folder:
        root = Path(folder) / "root"
        call(["debootstrap", "--variant=minbase", SUITES[release[1]], str(root)], limit_s=900)
        archive = Path(folder) / "root.tar"
        call(["tar", "--directory", str(root), "--create", "--file", str(archive), "."])
        call(["podman", "import", "--quiet", str(archive), base])


def build(
    target: str, tag: str, *, arguments: Sequence[str] = (), volumes: Sequence[str] = ()
) -> None:
    """Build a target of the Dockerfile in the working directory. Raises EngineError."""
    options = [part for argument in arguments for part in ("--build-arg", argument)]
    options += [part for volume in volumes for part in ("--volume", volume)]
    call(
        [
            # Layers between instructions would copy gigabytes each; `chroot` needs no cgroups.
            *("buildah", "bud", "--layers=false", "--isolation", "chroot", "--network", "host"),
            *("--format", "docker", "--target", target, "--tag", tag, *options, "."),
        ],
        limit_s=BUILT_WITHIN_S,
    )


@frozen
class Container:
    """A running one."""

    id: str

    def shell(self, script: str) -> str:
        """What `script` prints inside, both streams; its exit code does not matter."""
        return call(["podman", "exec", self.id, "sh", "-c", f"{{ {script}; }} 2>&1 || true"])

    def signal(self, name: str) -> None:
        call(["podman", "kill", "--signal", name, self.id])

    def exit_code(self, *, within_s: float) -> int:
        """Waits for its end. Raises EngineError where that takes longer."""
        return int(call(["podman", "wait", self.id], limit_s=within_s))

    def is_running(self) -> bool:
        state = call(["podman", "inspect", "--format", "{{.State.Running}}", self.id])
        return state.strip() == "true"

    def is_healthy(self) -> bool:
        """What the image's HEALTHCHECK says, asked now."""
        command = ["podman", "healthcheck", "run", self.id]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def log(self) -> str:
        return call(["podman", "logs", self.id])


@contextmanager
def running(image: str, volume: str, settings: Mapping[str, str]) -> Iterator[Container]:
    """A container of the image on the host's network; at the end it is gone, its volume is not."""
    environment = [part for pair in settings.items() for part in ("--env", "=".join(pair))]
    # As they are: raising them would need a right that root does not have everywhere.
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = ["--ulimit", f"nofile={min(files, 4096)}", "--ulimit", "nproc=4096"]
    container = Container(
        call(
            [
                *("podman", "--log-level=fatal", "--runtime", "runc", "run", "--detach"),
                *("--network", "host", "--read-only", "--read-only-tmpfs=false"),
                *("--tmpfs", "/tmp:size=256m,mode=1777", "--cap-drop", "all"),  # noqa: S108
                *("--security-opt", "no-new-privileges", "--volume", f"{volume}:/models"),
                *(*limits, *environment, image),
            ]
        ).strip()
    )
    try:
        yield container
    finally:
        subprocess.run(
            ["podman", "rm", "--force", "--time", "0", container.id],
            capture_output=True,
            check=False,
        )
