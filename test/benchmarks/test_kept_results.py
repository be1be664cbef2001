"""The predictions that are kept still have the errors that the documentation states."""

import csv
from pathlib import Path

import numpy as np
import pytest
from training_runs import ROOT

from benchmarks.runs import prediction_errors
from transposenet_core.formats import load_scene

DOCS = ROOT / "docs"
PAGES = (DOCS / "results.md", DOCS / "experiments" / "scene-coordinates.md")  # both show the table of the folds


def kept(fold: int, kind: str = "") -> Path:
    return ROOT / "benchmarks" / "results" / f"redkitchen_b50_fold{fold}{kind}.csv"


def errors_of(data_folder: Path, fold: int, kind: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Metres (N,) and degrees (N,) of the kept predictions of a fold's test frames."""
    split = data_folder / "splits" / f"redkitchen_b50_fold{fold}.csv"
    scene = load_scene(f"7scenes:{data_folder / '7scenes'}", str(split))
    return prediction_errors(kept(fold, kind), scene.select("test"))


@pytest.fixture(scope="module")
def medians(data_folder: Path) -> np.ndarray:
    """Of the four folds, metres and degrees (4, 2)."""
    return np.array([[np.median(errors) for errors in errors_of(data_folder, fold)] for fold in range(4)])


def test_the_figures_of_each_fold_are_those_of_its_predictions(medians: np.ndarray) -> None:
    for page in PAGES:
        for fold, (metres, degrees) in enumerate(medians):
            assert f"| {fold} | **{metres:.3f} m / {degrees:.2f} deg** |" in page.read_text(), page


def test_the_goal_is_reached_in_the_mean_of_the_folds(medians: np.ndarray) -> None:
    metres, degrees = medians.mean(axis=0)
    for page in PAGES:
        assert f"| mean | **{metres:.3f} m / {degrees:.2f} deg** |" in page.read_text(), page
    assert metres <= 0.05 and degrees <= 1.5


def test_the_figures_without_a_depth_camera_are_those_of_the_predictions(data_folder: Path) -> None:
    page = (DOCS / "experiments" / "mapping.md").read_text()
    medians = []
    for fold in range(4):
        metres, degrees = (np.median(errors) for errors in errors_of(data_folder, fold, "_colour"))
        assert f"| {fold} | **{metres:.3f} m / {degrees:.2f} deg** |" in page, fold
        medians.append((metres, degrees))
    metres, degrees = np.mean(medians, axis=0)
    assert f"| mean | **{metres:.3f} m / {degrees:.2f} deg** |" in page
    assert metres <= 0.045 and degrees <= 1.35


def test_the_figures_of_fox_are_those_of_the_predictions(data_folder: Path) -> None:
    scene = load_scene(f"nerfstudio:{data_folder / 'fox'}", str(data_folder / "splits" / "fox_every5.csv"))
    path = ROOT / "benchmarks" / "results" / "fox_every5_colour.csv"
    units, degrees = (np.median(errors) for errors in prediction_errors(path, scene.select("test")))
    page = (DOCS / "experiments" / "mapping.md").read_text()
    assert f"| **{units:.3f} units / {degrees:.2f} deg** |" in page
    assert units <= 0.2 and degrees <= 3


@pytest.mark.parametrize(("kind", "column"), [("refined", 2), ("instant", 5)])
def test_the_refined_figures_are_those_of_the_predictions(data_folder: Path, kind: str, column: int) -> None:
    page = (DOCS / "experiments" / "refinement.md").read_text()
    table = page[: page.index("### Beside geometry")]
    rows = {line.split("|")[1].strip(): line.split("|") for line in table.splitlines() if line.startswith("| ")}
    medians = []
    for fold in range(4):
        with open(kept(fold, f"_{kind}"), newline="") as file:
            localized = np.array([row["localized"] == "1" for row in csv.DictReader(file)])
        metres_N, degrees_N = (errors[localized] for errors in errors_of(data_folder, fold, f"_{kind}"))
        assert (metres_N < 0.25).all() and localized.mean() >= 0.85
        medians.append((np.median(metres_N), np.median(degrees_N)))
        assert f"**{medians[-1][0]:.3f} m / {medians[-1][1]:.2f} deg**" in rows[str(fold)][column + 1]
    metres, degrees = np.mean(medians, axis=0)
    assert f"**{metres:.3f} m / {degrees:.2f} deg**" in rows["mean"][column + 1]
    assert metres <= 0.025 and degrees <= 0.75


def test_the_refined_figures_of_fox_are_those_of_the_predictions(data_folder: Path) -> None:
    scene = load_scene(f"nerfstudio:{data_folder / 'fox'}", str(data_folder / "splits" / "fox_every5.csv"))
    page = (DOCS / "experiments" / "refinement.md").read_text()
    for kind in ("refined", "instant"):
        path = ROOT / "benchmarks" / "results" / f"fox_every5_{kind}.csv"
        units, degrees = (np.median(errors) for errors in prediction_errors(path, scene.select("test")))
        assert f"| **{units:.3f} units / {degrees:.2f} deg** |" in page, kind
        assert units <= 0.05 and degrees <= 0.7


def test_the_refined_figures_without_a_depth_camera_are_those_of_the_predictions(data_folder: Path) -> None:
    page = (DOCS / "experiments" / "refinement.md").read_text()
    section = page[page.index("### Colour images alone") :]
    medians = []
    for fold in range(4):
        medians.append([np.median(errors) for errors in errors_of(data_folder, fold, "_colour_refined")])
        assert f"| **{medians[-1][0]:.3f} m / {medians[-1][1]:.2f} deg** |" in section, fold
    metres, degrees = np.mean(medians, axis=0)
    assert f"| **{metres:.3f} m / {degrees:.2f} deg** |" in section
    assert metres <= 0.045 and degrees <= 1.2
