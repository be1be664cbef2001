"""The attention figures tell corners from edges and equal maps from distant ones; the script draws and compares."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from untrained import one_scene, save_untrained

from training.attention import main
from transposenet_core.inspection.attention import compare, on_grid, responses, summary
from transposenet_core.models import build_model
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene_model import SceneModel


def squares(seed: int = 0) -> np.ndarray:
    """An image of bright rectangles on a dark, slightly noisy ground."""
    rng = np.random.default_rng(seed)
    image_HW3 = rng.integers(20, 24, (96, 128, 3), dtype=np.uint8)
    for top, left in zip(rng.integers(0, 60, 6), rng.integers(0, 90, 6), strict=True):
        image_HW3[top : top + 20, left : left + 30] = rng.integers(60, 256, 3)
    return image_HW3


def test_corners_and_edges_are_where_they_are() -> None:
    image_HW3 = np.zeros((60, 80, 3), np.uint8)
    image_HW3[20:40, 30:60] = 255
    corners_HW, edges_HW = responses(image_HW3)
    rows, columns = np.where(corners_HW > 0.5 * corners_HW.max())
    assert {(round(r, -1), round(c, -1)) for r, c in zip(rows.tolist(), columns.tolist(), strict=True)} == {
        (20, 30),
        (20, 60),
        (40, 30),
        (40, 60),
    }
    assert corners_HW[20, 45] == pytest.approx(0, abs=1e-6)  # the middle of a side
    assert edges_HW[20, 45] == edges_HW[30, 30] > 0.9 * edges_HW.max()
    assert edges_HW[30, 45] == corners_HW[30, 45] == 0


def test_the_distance_is_0_for_equal_maps_and_1_for_maps_that_share_nothing() -> None:
    rng = np.random.default_rng(1)
    fine_HW = rng.random((12, 16))
    coarse_HW = fine_HW.reshape(6, 2, 8, 2).mean(axis=(1, 3))
    assert compare(coarse_HW, 3 * fine_HW, squares()).distance == pytest.approx(0, abs=1e-3)  # on the coarser grid
    left, right = np.zeros((6, 8)), np.zeros((12, 16))
    left[:, :4], right[:, 8:] = 1, 1
    assert compare(left, right, squares()).distance == pytest.approx(1)


def test_maps_of_corners_and_of_edges_are_distinguished() -> None:
    def figures(swapped: bool) -> list:
        found = []
        for seed in range(6):
            maps = [on_grid(response_HW, (12, 16)) for response_HW in responses(squares(seed))]
            found.append(compare(*(maps[::-1] if swapped else maps), squares(seed)))
        return found

    correlation_24 = np.mean([figure.correlation_24 for figure in figures(False)], axis=0)
    np.testing.assert_allclose(np.diag(correlation_24[:, :2]), 1)  # either with its own
    assert correlation_24[0, 1] < 0.97 and abs(correlation_24[0, 3]) < 0.01 and correlation_24[1, 3] > 0.9
    text = summary(figures(False))
    assert "position attends more to corners than the other: holds here" in text
    assert "orientation attends more to edges than the other: holds here" in text
    assert summary(figures(True)).count("does not hold here, the opposite does") == 2
    assert summary(figures(False)[:1]).count("undecided") == 2  # one image decides nothing


def test_a_map_that_is_the_same_everywhere_goes_with_nothing() -> None:
    figures = compare(np.ones((6, 8)), np.ones((6, 8)), squares())
    np.testing.assert_array_equal(figures.correlation_24, np.zeros((2, 4)))
    blank = compare(np.random.default_rng(0).random((6, 8)), np.ones((6, 8)), np.zeros((96, 128, 3), np.uint8))
    np.testing.assert_array_equal(blank.correlation_24, np.zeros((2, 4)))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for number in range(5):
        cv2.imwrite(str(tmp_path / "images" / f"frame-{number}.color.png"), squares(number))
    cv2.imwrite(str(tmp_path / "images" / "frame-0.depth.png"), squares()[..., 0])
    return tmp_path / "images"


def test_the_script_draws_three_columns_and_a_verdict(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    model = save_untrained(tmp_path / "model", [squares(9), 255 - squares(9)], Preprocessing(48, (48, 64)))
    out = tmp_path / "figures" / "attention.png"
    assert main([str(model), "--images", str(images), "--out", str(out), "--rows", "2"]) == 0
    text = capsys.readouterr().out
    assert "5 images" in text and "frame-0.color.png, frame-4.color.png" in text
    assert [line.split()[0] for line in text.splitlines()[2:4]] == ["position", "orientation"]
    figure_HW3 = cv2.imread(str(out))
    columns = np.array_split(figure_HW3[30:].astype(float), 3, axis=1)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        width = min(columns[a].shape[1], columns[b].shape[1])
        assert np.abs(columns[a][:, :width] - columns[b][:, :width]).mean() > 3  # three different images
    one = tmp_path / "one.png"
    assert main([str(model), "--images", str(images / "frame-1.color.png"), "--out", str(one)]) == 0
    assert cv2.imread(str(one)).shape[0] < 0.7 * len(figure_HW3)
    assert not list(tmp_path.rglob("*.partial*"))


def test_t11_what_cannot_be_drawn_is_one_sentence(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    size, out = (72, 96), tmp_path / "figure.png"
    options = {"image_size": list(size), "feature_width": 64}
    network = build_model("posenet", **options).eval()
    SceneModel("posenet", options, Preprocessing(72, size), network, one_scene("desk")).save(tmp_path / "posenet")
    (tmp_path / "nothing").mkdir()
    arguments = [str(tmp_path / "posenet"), "--images", str(images), "--out", str(out)]
    for changed, sentence in (
        (arguments, "its network (posenet) has no attention maps; transposenet and transposenet_fast have"),
        ([*arguments[:2], str(tmp_path / "nothing"), *arguments[3:]], "no image there; name files or folders"),
        ([*arguments[:2], str(tmp_path / "no.png"), *arguments[3:]], "no.png: the image cannot be read"),
        ([*arguments[:-1], str(tmp_path / "figure.txt")], "'.txt' is not a format of figures"),
        ([*arguments, "--rows", "0"], "a figure has at least 1 row"),
        ([str(images), *arguments[1:]], "scene.json and model.safetensors missing"),
    ):
        assert main(changed) == 2
        assert sentence in capsys.readouterr().err
    assert not out.exists()
