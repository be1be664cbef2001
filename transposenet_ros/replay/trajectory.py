"""Live estimates as files: poses.csv for reading and plots, a predictions file for evaluation."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from transposenet_core.atomic_files import write_atomically
from transposenet_core.errors import UserError
from transposenet_core.estimate import LOST_VARIANCE, Estimate
from transposenet_core.evaluation.errors import write_predictions
from transposenet_ros.bags.topics import IMAGE_NAMES_FILE
from transposenet_ros.replay.live_result import LiveResult

COLUMNS = ["stamp", "frame", "image", "x", "y", "z", "qw", "qx", "qy", "qz"]


def write_poses(path: str | Path, result: LiveResult) -> None:
    """One line per localized frame: stamp (s), number of the frame in the replay, source image where known, and
    ``T_map_camera`` in metres and quaternion w x y z."""
    with write_atomically(path) as temporary, open(temporary, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for number, stamp_ns in enumerate(result.sent):
            if (pose := result.estimates.get(stamp_ns)) is not None:
                numbers = [repr(float(value)) for value in (*pose.position, *pose.orientation)]
                stamp = f"{stamp_ns // 10**9}.{stamp_ns % 10**9:09d}"
                rows.writerow([stamp, number, result.image_names.get(stamp_ns, ""), *numbers])


def write_live_predictions(path: str | Path, result: LiveResult) -> None:
    """A predictions file with a line for every frame sent that has a name.

    A frame without a pose repeats the last one before it (the first after it, at the start), which is the last pose
    known to a robot, and is marked as not localized. UserError where no frame has a name or was localized.
    """
    stamps = [stamp_ns for stamp_ns in result.sent if stamp_ns in result.image_names]
    if not stamps:
        raise UserError(f"{path}: not written, the recording has no {IMAGE_NAMES_FILE}; make it with make_bag")
    localized = [stamp_ns for stamp_ns in result.sent if stamp_ns in result.estimates]
    if not localized:
        raise UserError(
            f"{path}: not written, no frame was localized; omit --predictions, or see the table for the reasons"
        )
    last, estimates = localized[0], []
    for stamp_ns in stamps:
        found = stamp_ns in result.estimates
        last = stamp_ns if found else last
        covariance_66 = result.covariances.get(stamp_ns, LOST_VARIANCE * np.eye(6))
        reason = "" if found else "no_answer"
        estimates.append(Estimate(result.estimates[last], covariance_66, found, reason, "", result.map_frame))
    write_predictions(path, [result.image_names[stamp_ns] for stamp_ns in stamps], estimates)
