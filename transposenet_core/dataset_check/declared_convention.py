"""How the poses of a data set were read: what its format says of them, or the user where the format says nothing."""

from __future__ import annotations

from transposenet_core.dataset_check.pose_convention import PoseConvention
from transposenet_core.formats import DataSource, cambridge, label_csv, matrix_rows
from transposenet_core.formats.rows import MAP_TO_CAMERA

CENTRE_AND_INVERSE = PoseConvention("centre + map-to-camera")
# Formats whose files hold another thing than the project's own T_map_camera with optical axes.
OF_FORMAT = {
    cambridge.NAME: CENTRE_AND_INVERSE,
    "colmap": PoseConvention("map-to-camera"),
    "nerfstudio": PoseConvention(axes="OpenGL"),
}


def declared_convention(source: DataSource, scene_name: str) -> PoseConvention:
    """The convention that `source` was read by, so that a verdict can say what the files look like instead."""
    usual = label_csv.CONVENTIONS.get(scene_name) if source.adapter.NAME == label_csv.NAME else None
    if source.options.get("convention", usual) == MAP_TO_CAMERA:
        # A matrix is inverted as a whole; where a row has a centre and a quaternion, only the quaternion is.
        return PoseConvention("map-to-camera") if source.adapter.NAME == matrix_rows.NAME else CENTRE_AND_INVERSE
    return OF_FORMAT.get(source.adapter.NAME, PoseConvention())
