"""The house keeps its order: who may import whom, what is light, and no trace of a machine."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib import metadata
from pathlib import Path

import pytest

from tests.commands import ROOT

PACKAGES = ("amber_cache", "amber_heads")
FILES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (*FILES, ROOT / "cli.py")
}

#: Packages whose docstring is a table of contents.
ROOMS = sorted(
    name
    for name, path in MODULES.items()
    if path.name == "__init__.py" and "Nothing is imported here" in path.read_text("utf-8")
)

#: What stage two may take from stage one.
SHARED = {"amber_cache.store", "amber_cache.records", "amber_cache.errors"}

#: The door to the encoders, to use a run on new material; opened late, inside functions.
DOOR = "amber_cache.embed"

TEXT_SUFFIXES = {".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".json", ".csv", ".cfg", ""}


def _imports(module: str, *, everywhere: bool = True) -> set[str]:
    """The house's own modules that one imports; or only those it imports when it is loaded."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree)) if everywhere else list(_at_module_level(tree))
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import hides what it takes"
            base = str(node.module)
            inner = {f"{base}.{one.name}" for one in node.names}
            names |= (inner & set(MODULES)) or {base}
    return {name for name in names if name in MODULES}


def _at_module_level(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        is_typing = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        if not is_typing and not isinstance(child, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            yield child
            yield from _at_module_level(child)


def test_stage_one_knows_nothing_of_stage_two_or_the_command_line() -> None:
    for module in MODULES:
        if module.startswith("amber_cache"):
            strangers = {one for one in _imports(module) if not one.startswith("amber_cache")}
            assert not strangers, module


def test_stage_two_takes_the_store_the_records_and_the_errors_alone() -> None:
    for module in MODULES:
        if module.startswith("amber_heads"):
            taken = {one for one in _imports(module) if not one.startswith("amber_heads")}
            assert taken <= {*SHARED, DOOR}, module
            assert DOOR not in _imports(module, everywhere=False), module


def test_only_the_command_line_imports_the_command_line() -> None:
    assert not [module for module in MODULES if "cli" in _imports(module)]


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {module: _imports(module) - {module} for module in MODULES}
    assert set(TopologicalSorter(graph).static_order()) == set(MODULES)  # a cycle raises


def _listed(package: str) -> list[str]:
    """The names in a package's table of contents, in order."""
    text = str(ast.get_docstring(ast.parse(MODULES[package].read_text(encoding="utf-8"))))
    lines = re.findall(r"^ {4}(\w+/?(?:, \w+)*)  +\S", text, re.MULTILINE)
    return [name.rstrip("/") for line in lines for name in line.split(", ")]


@pytest.mark.parametrize("package", ROOMS)
def test_a_room_lists_all_its_modules_each_below_those_that_it_imports(package: str) -> None:
    names = _listed(package)
    depth = package.count(".") + 1
    inside = [module for module in MODULES if module.startswith(f"{package}.")]
    assert sorted(names) == sorted({module.split(".")[depth] for module in inside})
    for module in inside:
        own = module.split(".")[depth]
        for other in _imports(module):
            if other.startswith(f"{package}.") and other.split(".")[depth] != own:
                below = names.index(other.split(".")[depth]) < names.index(own)
                assert below, f"{module} imports {other}, which is listed after it"


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_is_for(module: str) -> None:
    docstring = ast.get_docstring(ast.parse(MODULES[module].read_text(encoding="utf-8")))
    assert docstring
    assert docstring.split("\n")[0].endswith((".", ":", ",", ";")) or len(docstring) > 60


@pytest.mark.parametrize("module", [one for one in MODULES if one != "cli"])
def test_every_public_name_is_there_once(module: str) -> None:
    loaded = importlib.import_module(module)
    names = list(getattr(loaded, "__all__", ()))
    assert [name for name in names if not hasattr(loaded, name)] == []
    assert len(set(names)) == len(names)


def _loaded_by(code: str) -> set[str]:
    told = f"{code}\nimport sys; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    )
    return set(done.stdout.split())


def test_the_losses_do_not_bring_transformers() -> None:
    loaded = _loaded_by("import amber_heads.losses")
    assert not loaded & {"transformers", "soundfile", "soxr", "joblib", "rich", "typer"}


def test_stage_two_does_not_bring_stage_ones_encoders() -> None:
    training = "amber_heads.experiment, amber_heads.engine, amber_heads.summary"
    loaded = _loaded_by(f"import {training}, amber_heads.predict, amber_heads.evaluate_run")
    assert not loaded & {"transformers", "soundfile", "soxr", "amber_cache.extract"}


def test_the_package_itself_brings_nothing_heavy() -> None:
    assert not _loaded_by("import amber_heads; amber_heads.load") & {"torch", "numpy", "h5py"}


def test_settings_bring_nothing_heavy() -> None:
    assert not _loaded_by("import amber_heads.configuration.settings, amber_cache.config") & {
        "torch",
        "numpy",
        "h5py",
        "scipy",
    }


def test_the_version_stands_in_one_place_and_is_the_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata.version("amber-ser") == project["version"]


def test_every_dependency_is_pinned_and_the_pin_is_in_its_range() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [one for group in project["optional-dependencies"].values() for one in group]
    ranges = dict(
        re.fullmatch(r"([A-Za-z0-9_.-]+)>=([0-9.]+)", one).groups()
        for one in (*project["dependencies"], *extras)
        if not one.startswith("amber-ser")
    )
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    assert ranges.keys() <= pins.keys()
    for name, least in ranges.items():
        assert _numbers(pins[name]) >= _numbers(least), name
    assert pins["torch"] == "2.13.0"


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def _tracked() -> list[Path]:
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("this is no checkout: git does not list its files")
    return [path for name in done.stdout.decode().split("\0") if (path := ROOT / name).is_file()]


def test_no_file_holds_a_path_of_a_machine() -> None:
    homes = ("ho" + "me", "ro" + "ot", "Us" + "ers", "wo" + "rk", "workspa" + "ce", "mnt")
    of_a_machine = re.compile(rf"(?<![\w.\-/}}])/(?:{'|'.join(homes)})/\w")
    for path in _tracked():
        if path.suffix in TEXT_SUFFIXES:
            text = path.read_text(encoding="utf-8", errors="replace")
            found = [line for line in text.splitlines() if of_a_machine.search(line)]
            assert not found, path
            assert str(ROOT) not in text, path
