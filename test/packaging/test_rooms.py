"""The packages are built upwards: no import leads up, and none leads round in a circle."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
Import = tuple[str, str]  # who imports, and what

# A room is a folder or a module right below the package; each may import what stands before it, and nothing after it.
# The name of the package itself is its __init__.py.
ROOMS = {
    "transposenet_core": [
        *("transposenet_core", "errors", "limits", "checked", "plain_yaml", "tensor_header", "file_hash"),
        *("atomic_files", "printable", "suggestions", "stopping", "command_line", "progress", "text_files"),
        *("threads", "shared_files", "presets", "encoded_images", "image_files", "cache_folder"),
        *("geometry", "scene", "preprocessing", "estimate", "formats", "scene_units", "several_scenes", "models"),
        *("scene_model", "refinement", "refinement_stage", "checkpoints", "backends", "localizer"),
        *("inspection", "evaluation", "dataset_check", "training", "mapping", "commands"),
    ],
    "transposenet_ros": [
        *("transposenet_ros", "reasons", "parameters", "ros_commands", "node_arguments"),
        *("throttled_log", "lifecycle", "node_process", "waiting_service"),
        *("bags", "transforms", "camera", "decoding", "input", "output", "guarded_localizer"),
        *("statistics", "health", "diagnostics", "frame_localizer", "frame_worker"),
        *("configured", "active", "node_state", "control", "model_change", "cameras", "localizer_node"),
        *("replay", "bag_import", "commands", "cli"),
        *("replay_evaluation", "make_bag", "bag_to_dataset", "localizer_program"),
    ],
}


def modules(package: str) -> dict[str, Path]:
    """The files of a package by the full names of their modules."""
    paths = sorted((ROOT / package).rglob("*.py"))
    assert paths, f"{package} has no Python files"
    names = [path.relative_to(ROOT).with_suffix("").parts for path in paths]
    return {".".join(parts).removesuffix(".__init__"): path for parts, path in zip(names, paths, strict=True)}


def imported(code: str, known: Iterable[str]) -> Iterator[str]:
    """Which of the `known` modules a module's code imports, also inside functions."""
    for node in ast.walk(ast.parse(code)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import: {ast.unparse(node)}"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in known else str(node.module) for name in whole]
        yield from (name for name in names if name in known)


@functools.cache
def imports(package: str) -> frozenset[Import]:
    files = modules(package)
    return frozenset((name, found) for name, path in files.items() for found in imported(path.read_text(), files))


def folded(found: Iterable[Import], folder: str) -> set[Import]:
    """The imports between what lies right below a folder, each module taken for the folder or module that it is in."""

    def room(name: str) -> str:
        return name.removeprefix(f"{folder}.").partition(".")[0] if name != folder else folder.rpartition(".")[2]

    inside = [pair for pair in found if all(f"{name}.".startswith(f"{folder}.") for name in pair)]
    return {(room(a), room(b)) for a, b in inside if room(a) != room(b)}


def circle(found: Iterable[Import]) -> list[str]:
    """Names of which each imports the next, the last one the first; empty where there is no circle."""
    graph: dict[str, set[str]] = {}
    for importer, name in found:
        graph.setdefault(importer, set()).add(name)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def upward(found: Iterable[Import], package: str) -> list[Import]:
    """The imports whose room stands below that of what they import."""
    height = {room: number for number, room in enumerate(ROOMS[package])}
    by_rooms = {pair: folded([pair], package) for pair in found}
    return sorted(pair for pair, rooms in by_rooms.items() for a, b in rooms if height[a] < height[b])


@pytest.mark.parametrize("package", ROOMS)
def test_every_room_has_its_place_in_the_order(package: str) -> None:
    rooms = {name.split(".")[1] if "." in name else name for name in modules(package)}
    assert sorted(ROOMS[package]) == sorted(rooms)


@pytest.mark.parametrize("package", ROOMS)
def test_imports_lead_down(package: str) -> None:
    assert upward(imports(package), package) == []


@pytest.mark.parametrize("package", ROOMS)
def test_no_imports_lead_round_in_a_circle(package: str) -> None:
    """Neither between modules nor, in any folder, between the folders and modules in it."""
    found = imports(package)
    assert circle(found) == []
    folders = {name.rpartition(".")[0] for name in modules(package) if "." in name}
    assert {folder: way for folder in folders if (way := circle(folded(found, folder)))} == {}


def test_the_search_finds_what_it_looks_for() -> None:
    known = ("a", "a.low", "a.low.x", "a.high")
    code = "import a.low.x as x, os\nfrom a import high\ndef f():\n    from a.low import x\n    from a.low import name"
    assert sorted(imported(code, known)) == ["a.high", "a.low", "a.low.x", "a.low.x"]
    found = {("a.low.x", "a.high"), ("a.high", "a.low.y"), ("a", "a.low.x"), ("a.low", "a.low.x")}
    assert circle(found) == []
    assert folded(found, "a") == {("low", "high"), ("high", "low"), ("a", "low")}
    assert sorted(circle(folded(found, "a"))[1:]) == ["high", "low"]
    assert folded(found, "a.low") == {("low", "x")}
    down, up = (
        ("transposenet_ros.output.path_poses", "transposenet_ros.parameters"),
        ("transposenet_ros.bags.x", "transposenet_ros.output.y"),
    )
    assert upward({down, up}, "transposenet_ros") == [up]
