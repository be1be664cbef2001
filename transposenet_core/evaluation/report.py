"""The report image of an evaluation: tracks from above, errors over time, a few frames with their estimates."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from transposenet_core.atomic_files import write_atomically
from transposenet_core.evaluation.errors import pose_errors
from transposenet_core.geometry.pose import Pose, stack
from transposenet_core.geometry.vertical import Vertical, find_vertical
from transposenet_core.scene import unit_name
from transposenet_core.scene_model import MappedScene

GROUND_TRUTH, ESTIMATE, TRAINING, LOST = "#1b5e8c", "#d1495b", "#b9c2c9", "#8a8a8a"
SHOWN_FRAMES = 3
HEAD_WIDTH = 150  # characters of a warning that fit into a line
ARROW = 0.05  # length of a view's arrow, as a share of what is shown from above


@dataclass(frozen=True, eq=False)
class EvaluatedFrame:
    """One frame of a drive: its time in seconds (of images without stamps: in frames), its true pose, and its estimate
    (None where it was not localized)."""

    seconds: float
    ground_truth: Pose
    estimate: Pose | None


def draw_report(
    path: str | Path,
    title: str,
    frames: Sequence[EvaluatedFrame],
    mapped_scene: MappedScene,
    images: dict[int, np.ndarray] | None = None,
    warnings: Sequence[str] = (),
    time_unit: str = "s",
) -> None:
    """Write a PNG. `images` maps an index into `frames` to its (H, W, 3) uint8 image; the first three are shown.

    `mapped_scene` is the scene as the model knows it: its training poses are drawn, and with the true ones say which
    way is up. `warnings` stand at the head. A drive of which nothing was localized still gets its image, which says so.
    """
    from matplotlib.figure import Figure  # half a second to import: only when drawing

    if not frames:
        raise ValueError("there is no frame to draw")
    figure = Figure(figsize=(13, 8.2 + 0.25 * len(warnings)), dpi=110, layout="constrained")
    head = [title, *(textwrap.fill(f"WARN {warning}", HEAD_WIDTH) for warning in warnings)]
    heading = figure.suptitle("\n".join(head), fontsize=11 if warnings else 13, color=ESTIMATE if warnings else None)
    heading.set_parse_math(False)  # names may contain anything: a $ is not a formula
    halves: Any = figure.subfigures(1, 2, width_ratios=(1, 1.15))
    left, right = halves
    above = left.subplots()
    shown = dict(list((images or {}).items())[:SHOWN_FRAMES])
    rows: Any = right.subfigures(2 if shown else 1, 1, height_ratios=(1.5, 1) if shown else None)
    unit = unit_name(mapped_scene.units)
    _draw_tracks(above, frames, mapped_scene, list(shown))
    left.legend(*above.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    _draw_errors((rows[0] if shown else rows).subplots(2, 1, sharex=True), frames, unit, time_unit)
    if shown:
        _draw_images(rows[1].subplots(1, len(shown), squeeze=False)[0], frames, shown, unit)
    with write_atomically(path) as temporary:
        figure.savefig(temporary)


def choose_frames(frames: Sequence[EvaluatedFrame]) -> list[int]:
    """Three localized frames spread over the drive; fewer where fewer were localized."""
    localized = [index for index, frame in enumerate(frames) if frame.estimate is not None]
    places = {round(share * (len(localized) - 1)) for share in (1 / 6, 1 / 2, 5 / 6)} if localized else set()
    return [localized[place] for place in sorted(places)]


def _localized(frames: Sequence[EvaluatedFrame]) -> tuple[list[Pose], list[Pose]]:
    """Estimated and ground-truth poses of the frames that were localized."""
    pairs = [(frame.estimate, frame.ground_truth) for frame in frames if frame.estimate is not None]
    return [estimate for estimate, _ in pairs], [ground_truth for _, ground_truth in pairs]


def _unbroken(seconds_N: np.ndarray) -> list[slice]:
    """Stretches without a gap of more than ten frames: a test split may be blocks, with no line between them."""
    steps = np.diff(seconds_N)
    gaps = np.flatnonzero(steps > 10 * np.median(steps)) + 1 if len(steps) else np.zeros(0, int)
    ends = [0, *gaps.tolist(), len(seconds_N)]
    return [slice(a, b) for a, b in pairwise(ends)]


def vertical_of(frames: Sequence[EvaluatedFrame], mapped_scene: MappedScene) -> Vertical:
    """Which way is up in the map, by the cameras of the training and of the evaluated frames."""
    positions_N3, orientations_N4 = stack([frame.ground_truth for frame in frames])
    positions_N3 = np.concatenate([positions_N3, mapped_scene.training_positions_N3])
    orientations_N4 = np.concatenate([orientations_N4, mapped_scene.training_orientations_N4])
    return find_vertical(positions_N3, Rotation.from_quat(orientations_N4, scalar_first=True).as_matrix())


def _draw_tracks(axes: Any, frames: Sequence[EvaluatedFrame], mapped_scene: MappedScene, marked: list[int]) -> None:
    vertical, unit = vertical_of(frames, mapped_scene), unit_name(mapped_scene.units)
    ground_truth_N2 = vertical.level(stack([frame.ground_truth for frame in frames])[0])
    training_N2 = vertical.level(mapped_scene.training_positions_N3)
    axes.scatter(*training_N2.T, s=5, c=TRAINING, label="training views")
    estimates, ground_truth_poses = _localized(frames)
    for estimate, ground_truth in zip(estimates, ground_truth_poses, strict=True):
        axes.plot(
            *vertical.level(np.stack([ground_truth.position, estimate.position])).T, c=ESTIMATE, lw=0.4, alpha=0.5
        )
    for number, part in enumerate(_unbroken(np.array([frame.seconds for frame in frames]))):
        axes.plot(*ground_truth_N2[part].T, c=GROUND_TRUTH, lw=2, label=None if number else "ground truth")
    axes.scatter(*vertical.level(stack(estimates)[0]).T, s=9, c=ESTIMATE, zorder=3, label="estimated")
    length = ARROW * float(np.ptp(np.concatenate([ground_truth_N2, training_N2]), axis=0).max())
    for number, index in enumerate(marked, start=1):
        for pose, colour in ((frames[index].ground_truth, GROUND_TRUTH), (frames[index].estimate, ESTIMATE)):
            if pose is not None:
                start_2, tip_2 = vertical.level(
                    np.stack([pose.position, pose.position + length * pose.rotation_33[:, 2]])
                )
                arrow = {"arrowstyle": "-|>", "color": colour, "lw": 2}
                axes.annotate("", tip_2, start_2, arrowprops=arrow, zorder=5)
        axes.annotate(str(number), ground_truth_N2[index], fontsize=12, weight="bold", zorder=6)
    first, second, up = vertical.names
    axes.set(xlabel=f"{first} [{unit}]", ylabel=f"{second} [{unit}]", title=f"from above, up is {up}", aspect="equal")
    axes.grid(alpha=0.3)


def _draw_errors(axes: Any, frames: Sequence[EvaluatedFrame], length_unit: str, time_unit: str) -> None:
    seconds = np.array([frame.seconds for frame in frames]) - frames[0].seconds
    found = np.array([frame.estimate is not None for frame in frames])
    errors = pose_errors(*_localized(frames))
    units, names = (length_unit, "deg"), ("position", "orientation")
    for row, values, unit, name, digits in zip(axes, errors, units, names, (3, 2), strict=True):
        for part in _unbroken(seconds[found]):
            row.plot(seconds[found][part], values[part], c=ESTIMATE, lw=1, marker=".", ms=4)
        for second in seconds[~found]:
            row.axvline(second, c=LOST, lw=0.5, alpha=0.5)
        if len(values):
            row.axhline(np.median(values), c=GROUND_TRUTH, ls="--", lw=1)
            row.set_title(f"median {np.median(values):.{digits}f} {unit}", fontsize=10, loc="right", color=GROUND_TRUTH)
            row.set_ylim(bottom=0)
        row.set_ylabel(f"{name} error [{unit}]")
        row.grid(alpha=0.3)
    note = "" if found.all() else f"; grey: {np.count_nonzero(~found)} of {len(frames)} frames not localized"
    axes[-1].set_xlabel(f"time [{time_unit}]{note}")


def _draw_images(axes: Any, frames: Sequence[EvaluatedFrame], shown: dict[int, np.ndarray], unit: str) -> None:
    for number, (cell, (index, image_HW3)) in enumerate(zip(axes, shown.items(), strict=True), start=1):
        frame = frames[index]
        cell.imshow(image_HW3)
        cell.set_axis_off()
        lines = [f"{number}: ground truth {_numbers(frame.ground_truth)} {unit}"]
        if frame.estimate is not None:
            away, degrees = pose_errors([frame.estimate], [frame.ground_truth])
            lines += [f"estimated {_numbers(frame.estimate)} {unit}"]
            lines += [f"error {away[0]:.3f} {unit}, {degrees[0]:.2f} deg"]
        cell.set_title("\n".join(lines), fontsize=7.5)  # upright images leave it a third of the width


def _numbers(pose: Pose) -> str:
    return "(" + ", ".join(f"{value:.2f}" for value in pose.position) + ")"
