"""The report image of an evaluation: tracks from above, errors over time, a few frames with their estimates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from transposenet_core.atomic_files import write_atomically
from transposenet_core.evaluation.errors import pose_errors
from transposenet_core.geometry.pose import Pose, stack

GROUND_TRUTH, ESTIMATE, TRAINING, LOST = "#1b5e8c", "#d1495b", "#b9c2c9", "#8a8a8a"
SHOWN_FRAMES = 3


@dataclass(frozen=True, eq=False)
class EvaluatedFrame:
    """One frame of a drive: its time in seconds, its ground truth and its estimate (None where not localized)."""

    seconds: float
    ground_truth: Pose
    estimate: Pose | None


def draw_report(
    path: str | Path,
    title: str,
    frames: Sequence[EvaluatedFrame],
    training_positions_N3: np.ndarray,
    images: dict[int, np.ndarray] | None = None,
) -> None:
    """Write a PNG. `images` maps an index into `frames` to its (H, W, 3) uint8 image; the first three are shown.

    A drive of which nothing was localized also gets an image, which shows that.
    """
    from matplotlib.figure import Figure  # half a second to import: only when drawing

    if not frames:
        raise ValueError("there is no frame to draw")
    figure = Figure(figsize=(13, 8.2), dpi=110, layout="constrained")
    figure.suptitle(title, fontsize=13)
    halves: Any = figure.subfigures(1, 2, width_ratios=(1, 1.15))
    left, right = halves
    above = left.subplots()
    shown = dict(list((images or {}).items())[:SHOWN_FRAMES])
    rows: Any = right.subfigures(2 if shown else 1, 1, height_ratios=(1.5, 1) if shown else None)
    _draw_tracks(above, frames, training_positions_N3, list(shown))
    left.legend(*above.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    _draw_errors((rows[0] if shown else rows).subplots(2, 1, sharex=True), frames)
    if shown:
        _draw_images(rows[1].subplots(1, len(shown), squeeze=False)[0], frames, shown)
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


def _draw_tracks(axes: Any, frames: Sequence[EvaluatedFrame], training_N3: np.ndarray, marked: list[int]) -> None:
    ground_truth_N3, _ = stack([frame.ground_truth for frame in frames])
    # A map frame need not have z up (7-Scenes has not): "from above" shows the two axes of largest extent.
    everything = np.concatenate([ground_truth_N3, training_N3]) if len(training_N3) else ground_truth_N3
    a, b = sorted(np.argsort(np.ptp(everything, axis=0))[-2:])
    axes.scatter(training_N3[:, a], training_N3[:, b], s=5, c=TRAINING, label="training views")
    estimates, ground_truth_poses = _localized(frames)
    for estimate, ground_truth in zip(estimates, ground_truth_poses, strict=True):
        line = np.stack([ground_truth.position, estimate.position])
        axes.plot(line[:, a], line[:, b], c=ESTIMATE, lw=0.4, alpha=0.5)
    for number, part in enumerate(_unbroken(np.array([frame.seconds for frame in frames]))):
        axes.plot(
            ground_truth_N3[part, a],
            ground_truth_N3[part, b],
            c=GROUND_TRUTH,
            lw=2,
            label=None if number else "ground truth",
        )
    estimates_N3, _ = stack(estimates)
    axes.scatter(estimates_N3[:, a], estimates_N3[:, b], s=9, c=ESTIMATE, zorder=3, label="estimated")
    for number, index in enumerate(marked, start=1):
        for pose, colour in ((frames[index].ground_truth, GROUND_TRUTH), (frames[index].estimate, ESTIMATE)):
            if pose is not None:
                tip = pose.position + 0.25 * pose.rotation_33[:, 2]
                arrow = {"arrowstyle": "-|>", "color": colour, "lw": 2}
                axes.annotate("", (tip[a], tip[b]), (pose.position[a], pose.position[b]), arrowprops=arrow, zorder=5)
        place = frames[index].ground_truth.position
        axes.annotate(str(number), (place[a], place[b]), fontsize=12, weight="bold", zorder=6)
    axes.set(xlabel=f"map {'xyz'[a]} [m]", ylabel=f"map {'xyz'[b]} [m]", title="from above", aspect="equal")
    axes.grid(alpha=0.3)


def _draw_errors(axes: Any, frames: Sequence[EvaluatedFrame]) -> None:
    seconds = np.array([frame.seconds for frame in frames]) - frames[0].seconds
    found = np.array([frame.estimate is not None for frame in frames])
    errors = pose_errors(*_localized(frames))
    for row, values, unit, digits in zip(axes, errors, ("m", "deg"), (3, 2), strict=True):
        for part in _unbroken(seconds[found]):
            row.plot(seconds[found][part], values[part], c=ESTIMATE, lw=1, marker=".", ms=4)
        for second in seconds[~found]:
            row.axvline(second, c=LOST, lw=0.5, alpha=0.5)
        if len(values):
            row.axhline(np.median(values), c=GROUND_TRUTH, ls="--", lw=1)
            row.set_title(f"median {np.median(values):.{digits}f} {unit}", fontsize=10, loc="right", color=GROUND_TRUTH)
            row.set_ylim(bottom=0)
        row.set_ylabel(f"{'position' if unit == 'm' else 'orientation'} error [{unit}]")
        row.grid(alpha=0.3)
    note = "" if found.all() else f"; grey: {np.count_nonzero(~found)} of {len(frames)} frames not localized"
    axes[-1].set_xlabel(f"time [s]{note}")


def _draw_images(axes: Any, frames: Sequence[EvaluatedFrame], shown: dict[int, np.ndarray]) -> None:
    for number, (cell, (index, image_HW3)) in enumerate(zip(axes, shown.items(), strict=True), start=1):
        frame = frames[index]
        cell.imshow(image_HW3)
        cell.set_axis_off()
        lines = [f"{number}: ground truth {_numbers(frame.ground_truth)}"]
        if frame.estimate is not None:
            metres, degrees = pose_errors([frame.estimate], [frame.ground_truth])
            lines += [f"estimated {_numbers(frame.estimate)}", f"error {metres[0]:.3f} m, {degrees[0]:.2f} deg"]
        cell.set_title("\n".join(lines), fontsize=9)


def _numbers(pose: Pose) -> str:
    return "(" + ", ".join(f"{value:.2f}" for value in pose.position) + ") m"
