"""What training/evaluate.py does, until transposenet_core/commands/evaluate.py has it."""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from transposenet_core.atomic_files import write_atomically
from transposenet_core.errors import UserError
from transposenet_core.estimate import Estimate
from transposenet_core.evaluation.alignment import align
from transposenet_core.evaluation.baselines import ThumbnailRetrieval
from transposenet_core.evaluation.errors import pose_errors, summarise, table, write_predictions
from transposenet_core.evaluation.report import JudgedFrame, choose_frames, draw_report
from transposenet_core.formats import load_scene
from transposenet_core.geometry.covariance import Honesty, error_vectors
from transposenet_core.geometry.pose import mean_pose
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.image_files import read_image
from transposenet_core.inspection.reconstruction import has_decoder
from transposenet_core.inspection.reconstruction_error import ReconstructionError
from transposenet_core.inspection.reconstruction_figure import ShownFrame, draw_reconstructions
from transposenet_core.localizer import Localizer
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene import PosedImage, Scene
from transposenet_core.scene_model import MappedScene, SceneModel
from transposenet_core.several_scenes import load_scenes


def reader(scene: Scene, mapped: MappedScene) -> Callable[[PosedImage], np.ndarray]:
    """Reads pictures as the model learnt them: without the lens's distortion, where it was trained on such."""
    model = mapped.intrinsics
    if model and model.rectified and scene.intrinsics:
        undistorter = Undistorter(scene.intrinsics)
        return lambda image: undistorter(read_image(image.path))
    return lambda image: read_image(image.path)


def mapped_scene(model: SceneModel, scene: Scene) -> MappedScene:
    """What the model knows of a scene; of several the one with its name. UserError where there is none."""
    for mapped in model.scenes:
        if len(model.scenes) == 1 or mapped.name == scene.name:
            return mapped
    raise UserError(
        f"scene '{scene.name}' ({scene.root}) is none of the model's, which are {model.title}; say which with --name"
    )


def in_scene(estimate: Estimate, mapped: MappedScene) -> Estimate:
    """An estimate in another scene's map says nothing of where the camera is in this one."""
    return estimate if estimate.scene == mapped.name else replace(estimate, localized=False, reason="other_scene")


def evaluate(args: argparse.Namespace) -> None:
    localizer = Localizer(args.model, device=args.device)
    if args.crops is not None:
        localizer.scene_model.preprocessing = with_crops(localizer.scene_model, args.crops)
    scenes = load_scenes(args.data, args.split, args.name, args.skip_bad)
    mapped = [mapped_scene(localizer.scene_model, scene) for scene in scenes]
    several = len(scenes) > 1
    figures: dict[str, dict] = {}
    names: list[str] = []
    estimates: list[Estimate] = []
    for scene, its in zip(scenes, mapped, strict=True):
        report = args.report / scene.name if args.report and several else args.report
        figures[scene.name], found = judge(localizer, scene, its, args.select, report)
        names += [f"{scene.name}/{image.name}" if several else image.name for image in scene.select(args.select)]
        estimates += found
    for data in args.other:
        refuse(localizer, data)
    if args.predictions:
        write_predictions(args.predictions, names, estimates)
    if args.json:
        with write_atomically(args.json) as path:
            path.write_text(json.dumps(figures if several else figures[scenes[0].name], indent=1) + "\n")


def judge(
    localizer: Localizer, scene: Scene, mapped: MappedScene, select: str, report: Path | None
) -> tuple[dict, list[Estimate]]:
    """Print the figures on one scene's frames. Returns them, and the estimates."""
    test, training = scene.select(select), scene.select("train")
    truths = [image.pose for image in test]
    read = reader(scene, mapped)
    estimates = [in_scene(localizer.localize(read(i)), mapped) for i in tqdm(test, desc="localize", unit="img")]
    known = tqdm(training, desc="look-up", unit="img")
    retrieval = ThumbnailRetrieval((read(image) for image in known), [image.pose for image in training])
    constant = mean_pose([image.pose for image in training])
    localized = [(e.pose, truth) for e, truth in zip(estimates, truths, strict=True) if e.localized and e.pose]
    looked_up = [retrieval.lookup(read(image)) for image in test]
    rows = {
        localizer.scene_model.architecture: summarise(
            *pose_errors([e for e, _ in localized], [t for _, t in localized])
        ),
        "thumbnail look-up": summarise(*pose_errors(looked_up, truths)),
        "constant pose": summarise(*pose_errors([constant] * len(truths), truths)),
    }
    figures: dict = {name: row.to_dict() for name, row in rows.items()}
    print(table(rows))
    print(f"localized {len(localized)} of {len(test)} frames of {scene.name}, split {select}")
    aligned = align([e for e, _ in localized], [t for _, t in localized])
    figures["aligned_se3"] = aligned and aligned.to_dict()
    if aligned:
        print(f"aligned by SE(3), which says how the frames lie and is not the result: {aligned}")
        if warning := aligned.another_frame(rows[localizer.scene_model.architecture]):
            print(f"WARN {warning}")
    if localized:
        covariances = np.stack([e.covariance_66 for e in estimates if e.localized and e.pose])
        honesty = Honesty.of(error_vectors([e for e, _ in localized], [t for _, t in localized]), covariances)
        figures["covariance"] = honesty.to_dict()
        print(honesty)
    if len(localizer.scene_model.scenes) > 1:
        found = sum(estimate.reason != "other_scene" for estimate in estimates)
        figures["scene_accuracy"] = found / len(test)
        print(f"scene found in {found} of {len(test)} frames: {found / len(test):.1%}")
    if report:
        poses = [e.pose if e.localized else None for e in estimates]
        frames = [JudgedFrame(i.stamp, i.pose, pose) for i, pose in zip(test, poses, strict=True)]
        pictures = {index: read(test[index]) for index in choose_frames(frames)}
        title = f"{scene.name}: {len(localized)} of {len(test)} frames localized offline"
        draw_report(report / "report.png", title, frames, mapped.training_positions_N3, pictures)
        print(f"picture: {report / 'report.png'}")
        if pictures and has_decoder(localizer.scene_model):
            shown = [ShownFrame(test[i].name, picture, test[i].pose, poses[i]) for i, picture in pictures.items()]
            draw_reconstructions(report / "reconstructions.png", localizer.scene_model, shown, mapped.name)
            print(f"reconstructions: {report / 'reconstructions.png'}")
    if has_decoder(localizer.scene_model):
        error = ReconstructionError.of(localizer.scene_model, test, estimates, training, read, mapped.name)
        figures["reconstruction"] = error.to_dict()
        print(error)
    return figures, estimates


def refuse(localizer: Localizer, data: str) -> None:
    """Print how many pictures of another place are not localized, as they should not be."""
    other = load_scene(data, skip_bad=True)
    read = reader(other, localizer.scene_model.scenes[0])
    refused = [not localizer.localize(read(i)).localized for i in tqdm(other.images, desc="other", unit="img")]
    print(
        f"not localized {sum(refused)} of {len(refused)} frames of {other.name}, another place: {np.mean(refused):.1%}"
    )


def with_crops(model: SceneModel, crops: int) -> Preprocessing:
    """The model's preprocessing with so many windows a picture. UserError where it could not answer for them."""
    if crops < 1:
        raise UserError(f"--crops {crops}: at least 1 window is needed")
    if crops > 1 and model.network.has_fixed_window(model.options):
        raise UserError(
            f"--crops {crops}: this '{model.architecture}' knows the rays of the centre's window alone; leave it away"
        )
    return replace(model.preprocessing, crops=crops)
