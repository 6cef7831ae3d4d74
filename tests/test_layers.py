"""The architecture, held by a test: who may import whom inside the package, and which libraries.

It reads the sources with `ast` and imports nothing. Imports inside functions and under
TYPE_CHECKING count as well: a layer that needs another one's types depends on it.
"""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from attrs import frozen

import fasttalk_stt

PACKAGE = "fasttalk_stt"
SOURCES = Path(fasttalk_stt.__file__).parent

PURE_FOLDERS = frozenset({"protocol", "access", "audio", "conversation", "telemetry"})
NOT_IN_PURE_FOLDERS = frozenset(
    {
        "trio",
        "quart",
        "quart_trio",
        "hypercorn",
        "torch",
        "whisperx",
        "faster_whisper",
        "ctranslate2",
        "onnxruntime",
        "prometheus_client",
    }
)
ONLY_IN_INFERENCE = frozenset({"torch", "whisperx", "faster_whisper", "onnxruntime"})
UPPER_LAYERS = frozenset({"transcripts", "service", "app", "server", "asgi", "cli"})
SERVER_PARTS = UPPER_LAYERS | {
    "access",
    "audio",
    "composition",
    "connection",
    "conversation",
    "engines",
    "guard",
    "hypercorn_settings",
    "inference",
    "listening",
    "settings",
    "spelling",
    "telemetry",
}
"""A client imports none of these."""
FORBIDDEN_INSIDE: Mapping[str, frozenset[str]] = {
    "protocol": UPPER_LAYERS
    | {"connection", "inference", "conversation", "audio", "access", "telemetry"},
    "telemetry": UPPER_LAYERS
    | {"connection", "inference", "conversation", "audio", "access", "settings"},
    "access": UPPER_LAYERS | {"connection", "inference", "conversation", "audio", "settings"},
    "audio": UPPER_LAYERS | {"connection", "inference", "conversation", "access"},
    "conversation": UPPER_LAYERS | {"connection", "access"},
    "inference": UPPER_LAYERS | {"connection", "access"},
    "connection": UPPER_LAYERS | {"client"},
    "transcripts": UPPER_LAYERS - {"transcripts"} | {"inference", "client"},
    "client": SERVER_PARTS,
}
"""Part of the package: the parts it must not import."""

ROOT = "__init__"
"""The name of the package's own `__init__.py` among the parts."""


@frozen
class Import:
    """One import statement; `target` is absolute and dotted."""

    file: str
    line: int
    part: str
    target: str

    @property
    def library(self) -> str:
        return self.target.partition(".")[0]

    @property
    def target_part(self) -> str | None:
        """The part of the package that is imported, None for foreign libraries."""
        if self.library != PACKAGE:
            return None
        return [*self.target.split("."), ROOT][1]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.target}"


def _part_names(sources: Path) -> set[str]:
    return {path.stem for path in sources.iterdir() if path.suffix == ".py" or path.is_dir()}


def _targets(node: ast.AST, package: list[str], parts: set[str]) -> Iterator[str]:
    """What one statement imports. `package` is the dotted home of the file, for relative ones."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = package[: len(package) - node.level + 1] if node.level else []
        source = ".".join([*base, *([node.module] if node.module else [])])
        if source == PACKAGE:
            # `from fasttalk_stt import audio` means the part, `import __version__` the root.
            for alias in node.names:
                yield f"{PACKAGE}.{alias.name}" if alias.name in parts else PACKAGE
        else:
            yield source
    elif isinstance(node, ast.Call) and node.args:
        called = ast.unparse(node.func).rpartition(".")[2]
        argument = node.args[0]
        if called in {"import_module", "__import__"} and isinstance(argument, ast.Constant):
            yield str(argument.value)


def read_imports(sources: Path) -> list[Import]:
    """Every import of the package in that folder, `sources` being the package itself."""
    parts = _part_names(sources)
    imports = []
    for path in sorted(sources.rglob("*.py")):
        relative = path.relative_to(sources)
        package = [PACKAGE, *relative.parts[:-1]]
        part = relative.parts[0] if len(relative.parts) > 1 else path.stem
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
            imports += [
                Import(
                    file=str(relative), line=getattr(node, "lineno", 0), part=part, target=target
                )
                for target in _targets(node, package, parts)
            ]
    return imports


def impure_imports(imports: list[Import]) -> list[str]:
    """Imports of I/O or model libraries in the folders that decide without I/O."""
    return [
        str(each)
        for each in imports
        if each.part in PURE_FOLDERS and each.library in NOT_IN_PURE_FOLDERS
    ]


def model_imports_outside_inference(imports: list[Import]) -> list[str]:
    """Imports of the model libraries anywhere but in `inference`."""
    return [
        str(each)
        for each in imports
        if each.part != "inference" and each.library in ONLY_IN_INFERENCE
    ]


def upward_imports(imports: list[Import]) -> list[str]:
    """Imports inside the package that point up the layers."""
    return [
        str(each)
        for each in imports
        if each.target_part in FORBIDDEN_INSIDE.get(each.part, frozenset())
    ]


def import_cycle(imports: list[Import]) -> list[str]:
    """The parts of one import cycle in order, the first one again at the end; [] if none."""
    graph: dict[str, set[str]] = {}
    for each in imports:
        if each.target_part not in {None, each.part}:
            graph.setdefault(each.part, set()).add(str(each.target_part))
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        # graphlib lists a cycle from the imported to the importer.
        return list(reversed(error.args[1]))
    return []


@pytest.fixture(scope="module")
def package_imports() -> list[Import]:
    return read_imports(SOURCES)


def test_every_layer_is_there(package_imports: list[Import]) -> None:
    parts = {each.part for each in package_imports}
    assert parts >= PURE_FOLDERS | FORBIDDEN_INSIDE.keys()


def test_pure_folders_import_no_io_and_no_model(package_imports: list[Import]) -> None:
    assert impure_imports(package_imports) == []


def test_model_libraries_are_imported_in_inference_only(package_imports: list[Import]) -> None:
    assert model_imports_outside_inference(package_imports) == []


def test_no_import_points_up_the_layers(package_imports: list[Import]) -> None:
    assert upward_imports(package_imports) == []


def test_importing_the_client_brings_neither_server_nor_model() -> None:
    unwanted = "{'trio', 'torch', 'quart', 'quart_trio', 'hypercorn', 'whisperx', 'ctranslate2'}"
    code = f"import fasttalk_stt.client, sys; print(sorted({unwanted} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_part_imports_itself_through_another(package_imports: list[Import]) -> None:
    assert import_cycle(package_imports) == []


def _tree(folder: Path, files: Mapping[str, str]) -> list[Import]:
    """Write a made-up package and read its imports."""
    sources = folder / PACKAGE
    for name, text in files.items():
        path = sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return read_imports(sources)


CLEAN = {
    "__init__.py": "",
    "app.py": "from fasttalk_stt.connection.tasks import run\nimport quart_trio\n",
    "connection/tasks.py": "import trio\nfrom ..conversation import session\n",
    "conversation/session.py": "from fasttalk_stt.protocol.messages import Ping\n",
    "protocol/messages.py": "import attrs\n",
    "inference/engine.py": "def load():\n    import whisperx\n",
}


def test_a_clean_tree_passes(tmp_path: Path) -> None:
    imports = _tree(tmp_path, CLEAN)
    assert len(imports) == 7
    assert impure_imports(imports) == []
    assert model_imports_outside_inference(imports) == []
    assert upward_imports(imports) == []
    assert import_cycle(imports) == []


@pytest.mark.parametrize(
    "statement",
    [
        "import trio",
        "import torch.cuda",
        "from quart_trio import QuartTrio",
        "def late():\n    from hypercorn.config import Config",
        "if TYPE_CHECKING:\n    import whisperx",
        "import importlib\nimportlib.import_module('faster_whisper.vad')",
    ],
)
def test_impure_imports_are_found(tmp_path: Path, statement: str) -> None:
    found = impure_imports(_tree(tmp_path, CLEAN | {"audio/vad.py": statement}))
    assert len(found) == 1
    assert found[0].startswith("audio/vad.py:")


@pytest.mark.parametrize(
    "statement", ["import torch", "from whisperx.asr import load_model", "__import__('torch')"]
)
def test_model_imports_outside_inference_are_found(tmp_path: Path, statement: str) -> None:
    found = model_imports_outside_inference(
        _tree(tmp_path, CLEAN | {"service/health.py": statement})
    )
    assert len(found) == 1


@pytest.mark.parametrize(
    ("file", "statement"),
    [
        ("connection/tasks.py", "from fasttalk_stt.service.stats import Stats"),
        ("connection/tasks.py", "from ..app import create_app"),
        ("connection/deep/tasks.py", "from ...server import serve"),
        ("inference/engine.py", "import fasttalk_stt.connection.tasks"),
        ("inference/engine.py", "from fasttalk_stt import app"),
        ("protocol/messages.py", "from fasttalk_stt.audio.timeline import Clock"),
    ],
)
def test_upward_imports_are_found(tmp_path: Path, file: str, statement: str) -> None:
    targets = {"service/stats.py": "", "server.py": "", "audio/timeline.py": ""}
    found = upward_imports(_tree(tmp_path, CLEAN | targets | {file: statement}))
    assert [line.split(":")[0] for line in found] == [file]


def test_a_cycle_is_found_with_its_way(tmp_path: Path) -> None:
    imports = _tree(
        tmp_path,
        CLEAN
        | {
            "protocol/messages.py": "from fasttalk_stt.settings import Settings\n",
            "settings.py": "from fasttalk_stt import app\n",
        },
    )
    cycle = import_cycle(imports)
    assert cycle[0] == cycle[-1]
    assert set(cycle) == {"app", "connection", "conversation", "protocol", "settings"}


def test_a_cycle_through_the_package_root_is_found(tmp_path: Path) -> None:
    imports = _tree(
        tmp_path,
        CLEAN
        | {
            "__init__.py": "from fasttalk_stt.protocol.messages import Ping\n",
            "protocol/messages.py": "from fasttalk_stt import __version__\n",
        },
    )
    assert set(import_cycle(imports)) == {ROOT, "protocol"}
