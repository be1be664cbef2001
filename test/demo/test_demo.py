"""The scene model that ships: it loads, fits the repository, and localizes a drive that training never saw."""

import json
from pathlib import Path

import numpy as np
import pytest

from demo.drives import test_drive as held_out_drive
from demo.drives import training_drives
from demo.make_model import MAX_BYTES, SHIPPED
from demo.render import render_drives
from demo.retrieval_baseline import THUMBNAILS, load_retrieval_baseline, write_thumbnails
from demo.room import LENGTH, WIDTH
from demo.run_demo import MODEL
from demo.run_demo import main as run_demo
from transposenet_core.errors import UserError
from transposenet_core.evaluation.errors import pose_errors, summarise
from transposenet_core.formats import load_scene
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer

LARGEST_SHARE_OF_FLOOR, LARGEST_DEG = 0.03, 4.0


def test_what_ships_is_whole_and_small() -> None:
    files = {file.name for file in MODEL.iterdir()} - {"backends"}  # made where the demo runs
    assert files == {*SHIPPED, THUMBNAILS}
    assert sum((MODEL / name).stat().st_size for name in files) <= MAX_BYTES
    lines = [json.loads(line) for line in (MODEL / "metrics.jsonl").read_text().splitlines()]
    model = Localizer(MODEL, device="cpu").scene_model
    assert model.provenance["epoch"] <= max(line["epoch"] for line in lines) == model.provenance["config"]["epochs"]
    assert "held-out frames" in model.scenes[0].held_out_error.source


def test_the_retrieval_baseline_has_every_training_view() -> None:
    lookup = load_retrieval_baseline(MODEL / THUMBNAILS)
    poses = [pose for drive in training_drives() for pose in drive.poses]
    assert len(poses) == 2000
    grid_HW3 = read_image(MODEL / THUMBNAILS)
    for index in (0, 49, 50, 1234, 1999):  # each thumbnail finds itself, so poses and cells are in one order
        row, column = divmod(index, 50)
        cell_HW3 = grid_HW3[24 * row : 24 * (row + 1), 32 * column : 32 * (column + 1)]
        np.testing.assert_array_equal(lookup.lookup(cell_HW3).position, poses[index].position)


def test_thumbnails_of_another_room_are_refused(tmp_path: Path) -> None:
    write_thumbnails(tmp_path / "few.png", [np.zeros((24, 32, 3), np.uint8)] * 7)
    with pytest.raises(UserError, match="not 2000 thumbnails; rebuild it with make demo-model"):
        load_retrieval_baseline(tmp_path / "few.png")


def test_the_shipped_model_localizes_new_views(tmp_path: Path) -> None:
    scene = load_scene(f"7scenes:{render_drives(tmp_path / 'drive', 'test', frames=30, progress=False)}")
    images = scene.select("test")
    np.testing.assert_allclose(images[7].pose.position, held_out_drive().poses[7].position, atol=1e-8)
    localizer = Localizer(MODEL, device="cpu")
    estimates = [localizer.localize(read_image(image.path)).pose for image in images]
    figures = summarise(*pose_errors(estimates, [image.pose for image in images]))
    assert figures.median_m <= LARGEST_SHARE_OF_FLOOR * max(LENGTH, WIDTH)
    assert figures.median_deg <= LARGEST_DEG


@pytest.mark.long
@pytest.mark.timeout(400)
def test_the_whole_demo_is_as_good_as_documented(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run_demo(["--out", str(tmp_path)]) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    live, methods = summary["live"], summary["methods"]
    assert live["frames_sent"] == 300 and live["unaccounted"] == 0
    assert live["localized"] + sum(live["dropped"].values()) == 300
    assert live["tf"]["transforms"] == live["localized"] > 0 and live["tf"]["worst_m"] < 1e-9
    ours, lookup = methods["live localizer"], methods["nearest-neighbour retrieval"]
    assert ours["median_m"] <= LARGEST_SHARE_OF_FLOOR * max(LENGTH, WIDTH) and ours["median_deg"] <= LARGEST_DEG
    assert ours["median_m"] < 0.8 * lookup["median_m"] and ours["median_deg"] < 0.8 * lookup["median_deg"]
    assert read_image(tmp_path / "report.png").shape[1] > 1000
    assert "dropped, superseded" in capsys.readouterr().out
