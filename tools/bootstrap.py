"""Make the virtual environment that the Makefile works in: `python3 tools/bootstrap.py .venv`.

Standard library only, since it runs before anything is installed. It prints one line now and then
instead of pip's hundreds (they are in `install.log` inside the environment), and says in one line
what is missing on a bare machine. Run again, it brings the environment up to date.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

OLDEST = (3, 11)
NEWEST = (3, 13)
"""As `requires-python` in pyproject.toml."""

REQUIREMENT = ".[embedded,dev]"
CONSTRAINTS = "constraints.txt"
WITHOUT_DEPENDENCIES = ("pipecat-ai==1.14.0",)
"""Packages of which one file is wanted and nothing is imported: pipecat-ai carries the weights of
Smart Turn, and its dependencies are those of a whole framework. All else works without them."""
STAMP = ".installed"
"""Touched last, inside the environment: without it an environment is taken for half-made."""

NEEDED_BYTES = 13_000_000_000
"""An environment takes 7.9 GB, most of it CUDA's libraries, and the downloads 4.3 GB meanwhile."""

PROGRESS_EVERY_S = 15.0
POLL_S = 0.25
LOG_TAIL_LINES = 20
LINE_COLUMNS = 80


def check_python() -> None:
    """Raise SystemExit where this Python cannot carry the environment."""
    running = sys.version_info[:2]
    if not OLDEST <= running <= NEWEST:
        raise SystemExit(
            f"Python 3.{OLDEST[1]} to 3.{NEWEST[1]} is needed, this is {running[0]}.{running[1]}: "
            f"choose another one with  make PYTHON=python3.{OLDEST[1]} ..."
        )
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        raise SystemExit(
            f"Python's {' and '.join(missing)} are missing here: install them "
            "(Debian, Ubuntu: apt-get install python3-venv)"
        )


def warn_of_small_disk(directory: Path) -> None:
    """Say so where a new environment may not fit. No error: downloads may lie on another disk."""
    free_bytes = shutil.disk_usage(directory).free
    if free_bytes < NEEDED_BYTES:
        print(
            f"==> warning: {free_bytes / 1e9:.1f} GB are free here, and the installation takes "
            f"about {NEEDED_BYTES / 1e9:.0f} GB: it may fail",
            flush=True,
        )


def create(environment: Path) -> None:
    """Make an empty environment, in place of a half-made one."""
    print(f"==> making {environment} with Python {sys.version.split()[0]}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)


def install(environment: Path) -> int:
    """Run pip, saying now and then how it goes; returns pip's exit code."""
    log = environment / "install.log"
    log.unlink(missing_ok=True)
    print(
        "==> installing (the first time 1 to 10 minutes, 4 GB to download, 8 GB on disk)",
        flush=True,
    )
    started = time.monotonic()
    exit_code = _run_pip(environment, ("--editable", REQUIREMENT), log, started)
    if exit_code != 0:
        print("\n".join(_lines(log)[-LOG_TAIL_LINES:]), file=sys.stderr)
        print(f"the installation failed; all of it is in {log}", file=sys.stderr)
        return exit_code
    for package in WITHOUT_DEPENDENCIES:
        if _run_pip(environment, ("--no-deps", package), log, started) != 0:
            print(f"==> warning: no {package}, which is optional (see {log})", flush=True)
    print(f"==> installed in {time.monotonic() - started:.0f} s", flush=True)
    return 0


def _run_pip(environment: Path, what: tuple[str, ...], log: Path, started: float) -> int:
    """One call of pip, logged behind the ones before; `started` is on the monotonic clock."""
    command = [
        *(str(environment / "bin" / "python"), "-m", "pip", "install"),
        *("--disable-pip-version-check", "--no-input", "--progress-bar", "off"),
        *("--constraint", CONSTRAINTS, *what),
    ]
    with log.open("a", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait(process, log, started)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    return process.returncode


def _wait(process: subprocess.Popen[bytes], log: Path, started: float) -> None:
    next_line_s = PROGRESS_EVERY_S
    while process.poll() is None:
        time.sleep(POLL_S)
        elapsed_s = time.monotonic() - started
        if elapsed_s >= next_line_s:
            next_line_s += PROGRESS_EVERY_S
            print(f"    {elapsed_s:4.0f} s  {_latest_step(log)}", flush=True)


def _latest_step(log: Path) -> str:
    """What pip does now, from its log: a download by name and size, or that it unpacks."""
    steps = [line.strip() for line in _lines(log)]
    steps = [line for line in steps if line.startswith(("Collecting", "Downloading", "Installing"))]
    latest = steps[-1] if steps else "Starting"
    if latest.startswith("Installing collected packages:"):
        return f"Unpacking {latest.count(',') + 1} packages"
    return latest[:LINE_COLUMNS]


def _lines(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").splitlines()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(description="Make or update the virtual environment.")
    parser.add_argument("environment", type=Path, help="its folder, such as .venv")
    environment: Path = parser.parse_args().environment
    # A terminated make must not leave pip writing into the environment.
    signal.signal(signal.SIGTERM, _interrupt)
    stamp = environment / STAMP
    try:
        check_python()
        if not stamp.exists():
            warn_of_small_disk(Path.cwd())
            create(environment)
        stamp.unlink(missing_ok=True)
        exit_code = install(environment)
    except KeyboardInterrupt:
        return 130
    if exit_code == 0:
        stamp.touch()
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
