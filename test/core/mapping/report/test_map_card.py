"""The card of a map has the figures of known movements, and the contact sheet and overview show what they state."""

import json
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from box_scene import box_scene, views
from hypothesis import given
from hypothesis import strategies as st
from made_tracks import made_track, walk
from scipy.spatial.transform import Rotation

from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import Pose
from transposenet_core.mapping.report.contact_sheet import choose_frames, draw_contact_sheet
from transposenet_core.mapping.report.frame_depths import FrameDepth, frame_depths
from transposenet_core.mapping.report.map_card import (
    ConstantOffset,
    MapCard,
    TimeOffset,
    adjustment_figures,
    depth_figures,
    refused_frames,
)
from transposenet_core.mapping.report.map_card_text import LABEL_WIDTH, map_card_text
from transposenet_core.mapping.report.map_overview import arrow_scale, draw_map_overview
from transposenet_core.mapping.report.movement import Movement

LENS = Intrinsics(640, 480, 525.0, 525.0, 319.5, 239.5, "camera.json", rectified=True)
BENT = replace(
    LENS, fx=511.0, fy=511.0, rectified=False, distortion_model="plumb_bob", distortion=(-0.09, 0.02, 0, 0, 0)
)


def moved(count: int = 200, centimetres: float = 1.0) -> Movement:
    """Frame k moved by k times `centimetres` / 100 and rotated by k / 100 degrees."""
    scene = made_track(walk(count))
    adjusted = []
    for k, image in enumerate(scene.images):
        rotation = Rotation.from_quat(image.pose.orientation, scalar_first=True) * Rotation.from_euler(
            "x", k / 100, True
        )
        position = image.pose.position + [0, k * centimetres / 1e4, 0]
        adjusted.append(Pose(position, rotation.as_quat(scalar_first=True)))
    return Movement.of(scene.images, adjusted)


def card_of(movement: Movement, units: str = "metres", **more: object) -> MapCard:
    adjustment = adjustment_figures(movement, (2.59, 0.96), np.array([3, 4, 8]), (LENS, BENT), **more)
    facts = [FrameDepth(name, 0.8, 0.5, 2.0, 4.0) for name in movement.names]
    return MapCard(
        "kitchen", units, "map", len(movement), {"val": 5, "test": 0, "left_out": 3}, "adjusted", "they fit better",
        adjustment, depth_figures("motion", facts, 0.83), ["rolling shutter?"], {"features": 20.0, "depth": 100.0},
    )  # fmt: skip


def test_m01_the_card_has_how_far_poses_moved_and_the_ten_that_moved_most() -> None:
    movement = moved(201)
    adjustment = card_of(movement).adjustment
    assert adjustment is not None
    assert adjustment.moved.median == pytest.approx(0.01) and adjustment.moved.largest == pytest.approx(0.02)
    assert adjustment.rotated_deg.p95 == pytest.approx(1.9)
    assert [frame.name for frame in adjustment.moved_most] == list(movement.names[:-11:-1])
    assert adjustment.track_length == 5 and adjustment.points == 3


def test_the_card_is_json_and_its_text_two_columns() -> None:
    names = moved().names
    more = {
        "constant_offset": ConstantOffset.of(Pose([0.03, 0, 0.04], [1, 0, 0, 0]), True, 0.002, 0.1),
        "time_offset": TimeOffset(True, 0.03, 0.002),
        "refused_frames": refused_frames(names, {names[3]: "12 matches", names[4]: "12 matches", names[9]: "alike"}),
        "prior_sigma": 0.05, "prior_sigma_deg": 1.0, "prior_source": "--pose-sigma",
    }  # fmt: skip
    card = card_of(moved(), **more)
    read = json.loads(json.dumps(card.to_dict(), allow_nan=False))
    assert read["labels"] == "adjusted" and read["adjustment"]["lens_after"]["fx"] == 511.0
    assert read["adjustment"]["constant_offset"]["distance"] == pytest.approx(0.05)
    lines = map_card_text(card).splitlines()
    assert all(line[LABEL_WIDTH - 1] == " " and line[LABEL_WIDTH] != " " for line in lines)
    text = "\n".join(lines)
    for expected in (
        "2.59 px with the recorded poses, 0.96 px with the adjusted ones", "3 points, seen by 5.0 frames each",
        "lens before    fx 525.0", "lens after     fx 511.0", "k1 -0.0900 k2 0.0200", "+30 ms apart (+- 2 ms)",
        "x 0.030 y 0.000 z 0.040 m", f"{names[3]} to {names[4]} (2): 12 matches", f"{names[9]}: alike",
        "from motion, 80% of all pixels; frames agree on 83%", "0.5 to 4 m", "warning        rolling shutter?",
        "features 20, depth 100; 0.60 for each training frame", "5 val frames as recorded; 3 left out between",
    ):  # fmt: skip
        assert expected in text, expected


def test_t25_arbitrary_units_are_never_called_metres() -> None:
    text = map_card_text(card_of(moved(), "arbitrary"))
    assert re.search(r"\d m\b|metres", text) is None and "units" in text


def test_a_small_unit_does_not_make_the_movement_zero() -> None:
    movement = moved()
    tiny = replace(movement, adjusted_N3=movement.recorded_N3 + 1e-3 * (movement.adjusted_N3 - movement.recorded_N3))
    lines = map_card_text(card_of(tiny, "arbitrary")).splitlines()
    assert not re.search(r"\b0\.0+ units", "\n".join(line for line in lines if line.startswith("moved")))


def test_m02_a_refused_adjustment_is_stated_alone() -> None:
    card = card_of(moved(), refused="the images fit the recorded poses better (0.9 px) than the adjusted ones (1.4 px)")
    text = map_card_text(replace(card, labels="recorded", labels_reason="the adjustment was refused"))
    assert "adjustment     refused: the images fit" in text and "labels         recorded" in text
    assert "moved" not in text and "lens" not in text
    with pytest.raises(ValueError, match="allowed are adjusted, recorded"):
        replace(card, labels="mixed")


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_m03_frames_without_depth_are_ranges_that_hold_them_all(without: list[bool]) -> None:
    names = [f"frame-{number}" for number in range(len(without))]
    facts = [FrameDepth(n, 0.0) if gone else FrameDepth(n, 0.5, 1.0, 2.0, 3.0) for n, gone in zip(names, without)]
    figures = depth_figures("motion", facts, reasons={name: "the camera stands" for name in names})
    assert figures.frames_with_depth == without.count(False)
    assert sum(part.frames.frames for part in figures.without) == without.count(True)
    for part in figures.without:
        first, last = names.index(part.frames.first), names.index(part.frames.last)
        assert all(without[first : last + 1]) and last - first + 1 == part.frames.frames
        assert first == 0 or not without[first - 1]
        assert part.reason == "the camera stands"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=300), st.integers(1, 20))
def test_the_sheet_has_the_frame_with_the_least_depth(shares: list[float], count: int) -> None:
    shown = choose_frames([FrameDepth(str(number), share) for number, share in enumerate(shares)], count)
    assert shown == sorted(set(shown)) and 1 <= len(shown) <= count
    assert int(np.argmin(shares)) in shown


def test_depth_facts_are_those_of_the_box(tmp_path: Path) -> None:
    scene = box_scene(tmp_path / "box", views(4))
    first = cv2.imread(str(scene.images[0].depth_path), cv2.IMREAD_UNCHANGED)
    half = first.copy()
    half[:30] = 0
    cv2.imwrite(str(scene.images[0].depth_path), half)
    scene.images[1] = replace(scene.images[1], depth_path=None)
    facts = frame_depths(scene, progress=False)
    assert [fact.share for fact in facts] == [0.5, 0.0, 1.0, 1.0]
    below = first[30:] * 1e-4
    assert (facts[0].nearest, facts[0].median) == pytest.approx(tuple(np.percentile(below, [1, 50])))
    assert facts[1].nearest is None


@pytest.mark.parametrize("with_confidence", [True, False])
def test_the_contact_sheet_shows_holes_and_confidence(tmp_path: Path, with_confidence: bool) -> None:
    scene = box_scene(tmp_path / "box", views(5))
    confidences = {}
    for image in scene.images[:4]:
        confidences[image.name] = tmp_path / f"{image.name}.confidence.png"
        cv2.imwrite(str(confidences[image.name]), np.full((60, 80), 255, np.uint8))
        depth_HW = cv2.imread(str(image.depth_path), cv2.IMREAD_UNCHANGED)
        depth_HW[:, :40] = 0
        cv2.imwrite(str(image.depth_path), depth_HW)
    scene.images[4] = replace(scene.images[4], depth_path=None)
    facts = frame_depths(scene, progress=False)
    draw_contact_sheet(tmp_path / "depths.png", scene, facts, confidences if with_confidence else None)
    drawn_HW3 = cv2.imread(str(tmp_path / "depths.png"))[..., ::-1]
    holes = (drawn_HW3 == [0xC8, 0xCC, 0xD0]).all(axis=-1).mean()
    sure = (np.abs(drawn_HW3.astype(int) - [253, 231, 37]) <= 1).all(axis=-1).mean()  # the top of viridis
    assert 0.05 < holes < 0.5
    assert (sure > 0.02) == with_confidence


def test_confidence_of_another_size_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    scene = box_scene(tmp_path / "box", views(1))
    cv2.imwrite(str(tmp_path / "c.png"), np.zeros((30, 80), np.uint8))
    facts = frame_depths(scene, progress=False)
    with pytest.raises(UserError, match=r"c\.png: not a confidence image .*80x60.*map again"):
        draw_contact_sheet(tmp_path / "depths.png", scene, facts, {scene.images[0].name: tmp_path / "c.png"})
    assert not (tmp_path / "depths.png").exists()


@pytest.mark.parametrize("count, centimetres", [(200, 1.0), (1, 0.0), (2, 0.0)])
def test_the_overview_is_drawn_also_of_one_frame_that_did_not_move(
    tmp_path: Path, count: int, centimetres: float
) -> None:
    movement = moved(count, centimetres)
    movement = replace(movement, names=tuple(f"$x_{k}$" for k in range(count)))
    draw_map_overview(tmp_path / "overview.png", card_of(movement), movement)
    assert cv2.imread(str(tmp_path / "overview.png")).std() > 5


@pytest.mark.parametrize("extent, scale", [(10.0, 20), (1.0, 2), (0.3, 1), (1e4, 20000), (0.0, 1)])
def test_arrows_are_as_much_longer_as_they_state(extent: float, scale: int) -> None:
    """The 95th percentile is 1.9 cm; arrows are drawn as at most 6 % of the extent."""
    assert arrow_scale(moved(201), extent) == scale
