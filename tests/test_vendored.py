"""What is not ours in `fasttalk_stt/web/vendor` is what its notes say it is."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

VENDOR = Path(__file__).parents[1] / "fasttalk_stt" / "web" / "vendor"
NOTES = {"README.md", "SHA256SUMS"}


@pytest.mark.parametrize("folder", sorted(VENDOR.iterdir()), ids=lambda folder: folder.name)
def test_files_are_those_that_were_copied(folder: Path) -> None:
    noted = dict(
        reversed(line.split(maxsplit=1))
        for line in (folder / "SHA256SUMS").read_text().splitlines()
    )
    found = {
        file.name: sha256(file.read_bytes()).hexdigest()
        for file in folder.iterdir()
        if file.name not in NOTES
    }
    assert found == noted
    assert "LICENSE" in found


def test_note_has_the_version_of_the_charts() -> None:
    version = "1.6.32"
    assert f"uPlot {version}" in (VENDOR / "uplot" / "README.md").read_text()
    assert f"(v{version})" in (VENDOR / "uplot" / "uPlot.esm.js").read_text()
