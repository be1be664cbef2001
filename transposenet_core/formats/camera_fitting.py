"""A scene's cameras against the size of its images: resized ones have scaled intrinsics, cropped or rotated ones none.

Every command that reads a scene goes through this, so that what one of them takes none of the others refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from transposenet_core.errors import UserError
from transposenet_core.formats.faults import Faults
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.lens_models import bears_distortion
from transposenet_core.image_files import usual_size
from transposenet_core.scene import Scene


def with_fitting_cameras(scene: Scene, faults: Faults) -> Scene:
    """The scene with the intrinsics of its images as they are; a remark where that are not those of its files.

    UserError where images or depth images have another aspect ratio than their camera, or its distortion is none.
    """
    if scene.depth_camera is not None:
        depths = [image.depth_path for image in scene.images if image.depth_path is not None]
        _fitted(scene, scene.depth_camera.intrinsics, depths)  # whose pixels `registered_depth` scales itself
    if scene.intrinsics is None:
        return scene
    camera = _fitted(scene, scene.intrinsics, [image.path for image in scene.images])
    where, size = f"{scene.root}: intrinsics ({camera.source})", f"{camera.width}x{camera.height}"
    if camera != scene.intrinsics:
        described = f"{scene.intrinsics.width}x{scene.intrinsics.height}"
        faults.remark(where, f"they are for {described} pixels, the images have {size}: scaled to these")
    if not (0 <= camera.cx < camera.width and 0 <= camera.cy < camera.height):
        point = f"({camera.cx:.1f}, {camera.cy:.1f})"
        faults.remark(where, f"the principal point {point} is outside of the images of {size}: is it for another size?")
    return replace(scene, intrinsics=camera)


def _fitted(scene: Scene, camera: Intrinsics, paths: Sequence[Path]) -> Intrinsics:
    try:
        bears_distortion(camera)
        size = usual_size(paths)
        return camera if size is None else camera.for_images(*size)
    except UserError as error:
        raise UserError(f"{scene.root}: {error}") from None
