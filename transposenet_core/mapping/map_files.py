"""What people look at beside a map: its card, point cloud, page, contact sheet of depths and overview."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from transposenet_core.geometry.pose import Pose
from transposenet_core.image_files import image_stem
from transposenet_core.mapping.adjust.adjustment import Adjustment
from transposenet_core.mapping.dense.result import DenseResult
from transposenet_core.mapping.dense.sensor_comparison import SensorComparison
from transposenet_core.mapping.labels import LabelChoice
from transposenet_core.mapping.options import MapOptions
from transposenet_core.mapping.report.contact_sheet import draw_contact_sheet
from transposenet_core.mapping.report.frame_depths import frame_depths
from transposenet_core.mapping.report.map_card import (
    AdjustmentFigures,
    ConstantOffset,
    DepthFigures,
    MapCard,
    TimeOffset,
    adjustment_figures,
    depth_figures,
    refused_frames,
)
from transposenet_core.mapping.report.map_card_text import map_card_text
from transposenet_core.mapping.report.map_overview import draw_map_overview
from transposenet_core.mapping.report.map_page import write_map_page
from transposenet_core.mapping.report.movement import Movement
from transposenet_core.mapping.report.point_cloud import write_point_cloud
from transposenet_core.mapping.report.sparse_points import sparse_points
from transposenet_core.scene import Scene

CARD, CLOUD, PAGE, DEPTHS, OVERVIEW = "map.json", "map.ply", "map.html", "depths.png", "overview.png"


@dataclass(frozen=True, eq=False)
class Found:
    """What a map was made of; ``dense`` is None without depth from motion, ``comparison`` without a depth camera."""

    adjustment: Adjustment
    choice: LabelChoice
    dense: DenseResult | None
    comparison: SensorComparison | None


def write_map_files(
    folder: Path,
    written: Scene,
    found: Found,
    options: MapOptions,
    seconds: dict[str, float],
    progress: bool = True,
) -> MapCard:
    """Write them into `folder`, which holds the scene `written` of the colour camera; the card."""
    adjustment, dense = found.adjustment, found.dense
    movement = Movement.of_map(adjustment.sparse)
    shown = _with_adjusted_poses(written, movement)
    has_depth = any(image.depth_path for image in shown.images)
    facts = frame_depths(shown, progress=progress) if has_depth else []
    depth = None
    if facts:
        reasons = {} if dense is None else _reasons(dense, movement.names, [fact.name for fact in facts])
        agreement = None if dense is None else dense.agreement
        compared = [] if found.comparison is None else found.comparison.sentences()
        depth = replace(depth_figures(options.depth, facts, agreement, reasons), sensor=compared)
    card = map_card(written, found, movement, depth, options, seconds)
    with open(folder / CARD, "w") as file:
        json.dump(card.to_dict(), file, indent=1)
        file.write("\n")
    vertical = movement.vertical()
    draw_map_overview(folder / OVERVIEW, card, movement, vertical)
    about = (written.name, written.map_frame, written.units)
    dense_enough = depth is not None and depth.frames_with_depth > 0
    points = (
        write_point_cloud(folder / CLOUD, shown, progress=progress)
        if dense_enough
        else sparse_points(adjustment.sparse)
    )
    write_map_page(folder / PAGE, points, movement, *about, vertical, map_card_text(card))
    if dense_enough:
        images = {image.name: image.path for image in shown.images}
        sure = {n: p.with_name(f"{image_stem(p.name)}.confidence.png") for n, p in images.items()}
        draw_contact_sheet(folder / DEPTHS, shown, facts, {n: p for n, p in sure.items() if p.is_file()})
    return card


def map_card(
    written: Scene,
    found: Found,
    movement: Movement,
    depth: DepthFigures | None,
    options: MapOptions,
    seconds: dict[str, float],
) -> MapCard:
    """The card of a map."""
    adjustment, choice, dense = found.adjustment, found.choice, found.dense
    others = Counter(image.split for image in written.images if image.split != "train")
    warnings = [*adjustment.warnings, *([] if dense is None else dense.warnings)]
    return MapCard(
        scene=written.name,
        units=written.units,
        map_frame=written.map_frame,
        frames=len(movement),
        frames_not_mapped=dict(others),
        labels=choice.labels,
        labels_reason=choice.reason,
        adjustment=None if options.poses == "keep" and options.lens == "keep" else _figures(adjustment, movement),
        depth=depth,
        warnings=warnings,
        seconds=dict(seconds),
    )


def _figures(adjustment: Adjustment, movement: Movement) -> AdjustmentFigures:
    offset = adjustment.offset
    found = offset.position_decided or offset.rotation_decided
    sparse = adjustment.sparse
    counts_P = np.bincount(np.concatenate([frame.point_K for frame in sparse.frames]), minlength=len(sparse.point_P3))
    return adjustment_figures(
        movement,
        (_finite(adjustment.before_px), _finite(adjustment.after_px)),
        counts_P,
        (adjustment.lens_before, adjustment.lens_after),
        prior_sigma=adjustment.position_sigma,
        prior_sigma_deg=adjustment.rotation_sigma_deg,
        prior_source=adjustment.sigma_source,
        constant_offset=ConstantOffset.of(
            offset.T_body_camera, found, _finite(offset.position_sigma), _finite(offset.rotation_sigma_deg)
        ),
        time_offset=TimeOffset(offset.seconds_decided, offset.seconds, _finite(offset.seconds_sigma)),
        refused_frames=refused_frames(movement.names, adjustment.refused_frames),
        refused=adjustment.refused,
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _reasons(dense: DenseResult, names: tuple[str, ...], written: list[str]) -> dict[str, str]:
    """Why frames have no depth, by the names that the written data set gives them."""
    new = dict(zip(names, written, strict=True))
    return {new[frame.name]: frame.reason for frame in dense.frames if frame.reason}


def _with_adjusted_poses(written: Scene, movement: Movement) -> Scene:
    """Depth belongs to the adjusted poses, also where the labels are the recorded ones."""
    poses = (Pose(p, q) for p, q in zip(movement.adjusted_N3, movement.adjusted_N4, strict=True))
    images = [replace(i, pose=next(poses)) if i.split == "train" else i for i in written.images]
    return replace(written, images=images)
