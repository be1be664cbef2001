"""Scenes in metres: positions of arbitrary units are scaled by a known distance, or laid onto a map.

Structure from motion knows a scene up to its scale: COLMAP and nerfstudio say nothing of metres. What the scale comes
from: a number, the distance between two cameras, odometry of the same images, or correspondences with a map.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from transposenet_core.errors import UserError
from transposenet_core.formats import load_scene
from transposenet_core.formats.image_names import same_images
from transposenet_core.geometry.pose import Pose, stack
from transposenet_core.geometry.similarity import Similarity
from transposenet_core.scene import PosedImage, Scene
from transposenet_core.text_files import read_rows

SCALE_USAGE = "metres per unit, or IMAGE,IMAGE=METRES for a known distance between two cameras"
ALIGN_USAGE = "image,x,y,z (camera positions in the map) or x,y,z,map_x,map_y,map_z (points in both), in metres"
ODOMETRY = "odometry:"
BY_IMAGE, BY_POINT = ("image", "x", "y", "z"), ("x", "y", "z", "map_x", "map_y", "map_z")
LARGEST_SCALE = 1e6
# Odometry drifts: it is compared over pieces of a track, of this share of it and with a base of at least so many.
PIECE, FEWEST_PIECES = 0.1, 8
MOST_SPREAD = 0.2  # of the pieces' scales, half the width of the middle two thirds


def in_metres(scene: Scene, scale: str = "", align: str = "") -> Scene:
    """The scene as `--scale` and `--align` say, at most one of which is given; what was done goes to stderr.

    UserError where an option is wrong, names images that the scene does not have, or does not fit to it.
    """
    if scale and align:
        raise UserError(f"--scale {scale} and --align {align} are both given for scene {scene.name}; give one of them")
    if not (scale or align):
        return scene
    option = f"--scale {scale}" if scale else f"--align {align}"
    metric = scene.units == "metres"
    if metric and (scale or align.startswith(ODOMETRY)):
        raise UserError(f"{option}: scene {scene.name} is in metres already; leave the option out")
    if scale:
        similarity, how = _scale(scene, scale, option)
    elif align.startswith(ODOMETRY):
        similarity, how = _odometry_scale(scene, align.removeprefix(ODOMETRY), option)
    else:
        similarity, how = _correspondences(scene, Path(align).expanduser(), metric)
    unit = "" if metric else f"1 unit is {similarity.scale:.4g} m, "
    print(f"scene {scene.name}: {unit}{how}", file=sys.stderr)
    return moved(scene, similarity)


def moved(scene: Scene, similarity: Similarity) -> Scene:
    """The scene in the map, and the unit, that `similarity` leads to: metres."""
    scale, mount, depth = similarity.scale, scene.T_pose_camera, scene.depth_camera
    if depth is not None:  # it is in the poses' unit, or the two would not fit together
        T = depth.T_camera_depth
        nearer = Pose(scale * T.position, T.orientation)
        depth = replace(depth, metres_per_unit=scale * depth.metres_per_unit, T_camera_depth=nearer)
    return replace(
        scene,
        images=[_moved_image(image, similarity) for image in scene.images],
        T_pose_camera=None if mount is None else Pose(scale * mount.position, mount.orientation),
        depth_camera=depth,
        units="metres",
    )


def _moved_image(image: PosedImage, similarity: Similarity) -> PosedImage:
    covariance_66 = image.covariance_66
    if covariance_66 is not None:  # along the map's axes, which turn, and in its unit; angles have none
        J_66, R_33 = np.zeros((6, 6)), similarity.T_to_from.rotation_33
        J_66[:3, :3], J_66[3:, 3:] = similarity.scale * R_33, R_33
        covariance_66 = J_66 @ covariance_66 @ J_66.T
    return replace(image, pose=similarity(image.pose), covariance_66=covariance_66)


def _scale(scene: Scene, text: str, option: str) -> tuple[Similarity, str]:
    images, separator, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = float("nan")
    if not 0 < value <= LARGEST_SCALE:
        raise UserError(f"{option}: write {SCALE_USAGE}, a number above 0 and at most {LARGEST_SCALE:g}")
    if not separator:
        return _by(value), "as --scale says"
    names = [name.strip() for name in images.split(",")]
    if len(names) != 2:
        raise UserError(f"{option}: {len(names)} images before the =; write IMAGE,IMAGE=METRES")
    a, b = (scene.images[index].pose.position for index in _indices(scene, names, option))
    distance = float(np.linalg.norm(a - b))
    if distance == 0:
        raise UserError(f"{option}: both cameras are in the same place; name two images that are apart")
    return _by(value / distance), f"by the distance of {value:g} m between {names[0]} and {names[1]}"


def _by(scale: float) -> Similarity:
    return Similarity(scale, Pose(np.zeros(3), np.array([1.0, 0, 0, 0])))


def _indices(scene: Scene, names: Sequence[str], where: object) -> list[int]:
    """Places of images in a scene. UserError names the first that it does not have."""
    found = same_images(names, [image.name for image in scene.images])
    for number, name in enumerate(names):
        if number not in found:
            example = scene.images[0].name if scene.images else "none"
            raise UserError(f"{where}: scene {scene.name} has no image {name}; its names are like {example}")
    return [found[number] for number in range(len(names))]


def _correspondences(scene: Scene, path: Path, metric: bool) -> tuple[Similarity, str]:
    names, p_scene_N3, p_map_N3 = _read(scene, path)
    try:
        similarity = Similarity.of_points(p_scene_N3, p_map_N3, with_scale=not metric)
    except ValueError as error:
        raise UserError(f"{path}: {error}; give three or more correspondences that are not on one line") from None
    if not 0 < similarity.scale <= LARGEST_SCALE:
        raise UserError(f"{path}: a scale of {similarity.scale:.3g}, which no scene has; check the columns")
    away_N = np.linalg.norm(similarity.points(p_scene_N3) - p_map_N3, axis=1)
    worst = int(away_N.argmax())
    figures = f"rms {np.sqrt(np.mean(away_N**2)):.3f} m, at most {away_N[worst]:.3f} m ({names[worst]})"
    return similarity, f"aligned by {len(names)} correspondences of {path.name}: {figures}"


def _read(scene: Scene, path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """What to call each correspondence, and its position in the scene and in the map, both (N, 3)."""
    try:
        (_, columns), *rows = read_rows(path) or [(1, [])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: the correspondences cannot be read ({error}); a row is {ALIGN_USAGE}") from None
    if not (set(BY_IMAGE) <= set(columns) or set(BY_POINT) <= set(columns)):
        raise UserError(f"{path}: columns {','.join(columns)} found; they must be {ALIGN_USAGE}")
    wanted = BY_POINT if set(BY_POINT) <= set(columns) else BY_IMAGE[1:]
    named = [(line, dict(zip(columns, values, strict=False))) for line, values in rows]
    numbers = []
    for line, row in named:
        try:
            numbers.append([float(row[name]) for name in wanted])
        except (KeyError, ValueError):
            raise UserError(f"{path} line {line}: {', '.join(wanted)} are not all numbers; mend the row") from None
    values = np.array(numbers, np.float64).reshape(len(rows), len(wanted))
    if not np.isfinite(values).all():
        raise UserError(f"{path}: a number that is not finite; mend the row")
    if wanted == BY_POINT:
        return [f"line {line}" for line, _ in rows], values[:, :3], values[:, 3:]
    names = [row["image"] for _, row in named]
    positions = [scene.images[index].pose.position for index in _indices(scene, names, path)]
    return names, np.array(positions).reshape(-1, 3), values


def _odometry_scale(scene: Scene, data: str, option: str) -> tuple[Similarity, str]:
    """The median ratio of the distances that both say between frames of a sequence that are a piece of track apart."""
    other = load_scene(data)
    if other.units != "metres":
        raise UserError(f"{option}: {other.name} is in arbitrary units, too; odometry in metres is needed")
    partners = same_images([i.name for i in scene.images], [i.name for i in other.images])
    images = [image for index, image in enumerate(scene.images) if index in partners]
    odometry = [other.images[partners[index]] for index in sorted(partners)]
    ratios_N = _ratios(images, odometry)
    if len(ratios_N) < FEWEST_PIECES:
        raise UserError(
            f"{option}: {len(partners)} images are in both and give {len(ratios_N)} pieces of track to compare, at "
            f"least {FEWEST_PIECES} are needed; give the data set of the same images, or --scale"
        )
    low, scale, high = np.percentile(ratios_N, (16, 50, 84))
    spread = float((high - low) / (2 * scale))
    if spread > MOST_SPREAD:
        raise UserError(
            f"{option}: the odometry's distances are {low:.3g} to {high:.3g} times the scene's, no scale fits; check "
            "that both are of the same images, and that the robot moved"
        )
    return _by(float(scale)), f"by odometry over {len(ratios_N)} pieces of track, which differ by {spread:.1%}"


def _ratios(images: Sequence[PosedImage], odometry: Sequence[PosedImage]) -> np.ndarray:
    """Odometry's distance by the scene's, for each piece of track that is long enough to compare."""
    if len(images) < 2:
        return np.zeros(0)
    p_scene_N3, p_odometry_N3 = (stack([image.pose for image in each])[0] for each in (images, odometry))
    ratios = []
    for sequence in dict.fromkeys(image.sequence for image in images):
        index_M = np.array([k for k, image in enumerate(images) if image.sequence == sequence])
        index_M = index_M[np.argsort([images[k].stamp for k in index_M], kind="stable")]
        ahead = max(round(PIECE * len(index_M)), 1)
        if len(index_M) <= ahead:
            continue
        there, here = index_M[ahead:], index_M[:-ahead]
        scene_K = np.linalg.norm(p_scene_N3[there] - p_scene_N3[here], axis=1)
        odometry_K = np.linalg.norm(p_odometry_N3[there] - p_odometry_N3[here], axis=1)
        long_K = (scene_K > 0.5 * np.median(scene_K)) & (odometry_K > 0) & (scene_K > 0)
        ratios.append(odometry_K[long_K] / scene_K[long_K])
    return np.concatenate([np.zeros(0), *ratios])
