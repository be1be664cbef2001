"""The command `evaluate`: errors of a scene model on posed images, beside those of two baselines."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from transposenet_core.atomic_files import write_atomically
from transposenet_core.command_line import next_command
from transposenet_core.commands.backend_option import add_backend_option, start_localizer
from transposenet_core.commands.data_options import MODEL_HELP, add_data_options, list_formats, load_given
from transposenet_core.errors import UserError

if TYPE_CHECKING:
    from transposenet_core.evaluation.offline_result import OfflineResult
    from transposenet_core.localizer import Localizer
    from transposenet_core.scene import Scene
    from transposenet_core.scene_model import SceneModel

SPLITS = ("train", "val", "test")
HELP = "evaluate a scene model on images it has not seen"
DESCRIPTION = """Evaluate a scene model on posed images it has not seen, beside two baselines: nearest-neighbour
retrieval and a constant pose.

transposenet evaluate MODEL --data 7scenes:PATH --split FILE [--predictions out.csv] [--report DIR]
    [--json FILE] [--other FORMAT:PATH]

The baselines know the training frames of the split. The last lines are a verdict: better than
retrieval, or what to do. The predictions file has a
line per image: image,x,y,z,qw,qx,qy,qz (T_map_camera, metres), sigma_x,sigma_y,sigma_z (metres),
localized (0/1), backend, refined (0/1). Where the model has keyframes, the errors without
refinement stand beside those with it. Without --split the frames are split as the model was
trained, where it knows them; frames that it was trained on are evaluated with a warning. Of a model
of several scenes --data tells which one the images are of, by its name; a frame taken for another
one counts as not localized."""
help_all = list_formats


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help=MODEL_HELP)
    add_data_options(parser, "the model's own split")
    parser.add_argument("--select", default="test", choices=("train", "val", "test", "all"), help="frames to evaluate")
    parser.add_argument(
        "--other", action="append", default=[], metavar="FORMAT:PATH", help="another place: count frames not localized"
    )
    parser.add_argument(
        "--crops",
        type=int,
        metavar="N",
        help="average the poses of N windows of an image (PoseNet: 128), fewer in an image hardly larger",
    )
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    add_backend_option(parser)
    parser.add_argument("--predictions", type=Path, metavar="FILE", help="write the poses as CSV")
    parser.add_argument("--report", type=Path, metavar="DIR", help="draw report.png there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the figures, unrounded")


def run(args: argparse.Namespace) -> None:
    """Evaluate every scene, print its figures and write the requested files. UserError where that is impossible."""
    # Torch takes seconds to import, for which --help and a wrong argument need not wait.
    from transposenet_core.evaluation.errors import write_predictions
    from transposenet_core.evaluation.offline import find_mapped_scene, with_crops
    from transposenet_core.evaluation.other_place import evaluate_other_place
    from transposenet_core.evaluation.training_record import TrainingRecord
    from transposenet_core.evaluation.verdict import verdict_of
    from transposenet_core.formats import load_scene

    localizer = start_localizer(args.model, args.device, args.backend, args.refine)
    if args.crops is not None:
        localizer.scene_model.preprocessing = with_crops(localizer.scene_model, args.crops)
    scenes = load_given(args, None if args.split else partial(_as_trained, localizer.scene_model, args.select))
    for scene in scenes:
        find_mapped_scene(localizer.scene_model, scene)  # a wrong name is reported before the first scene is evaluated
    several = len(scenes) > 1
    results = {}
    for scene in scenes:
        report = args.report / scene.name if args.report and several else args.report
        results[scene.name] = _evaluated(localizer, scene, args.select, report)
    for data in args.other:
        print(evaluate_other_place(localizer, load_scene(data, skip_bad=True), progress=True))
    if args.predictions:
        names = [f"{name}/{i.name}" if several else i.name for name, result in results.items() for i in result.images]
        write_predictions(args.predictions, names, [e for result in results.values() for e in result.estimates])
    if args.json:
        figures = {name: result.to_dict() for name, result in results.items()}
        _write_json(args.json, figures if several else figures[scenes[0].name])
    record = TrainingRecord.read(args.model, localizer.scene_model)
    for scene, result in zip(scenes, results.values(), strict=True):
        print(f"{scene.name}: " * several + str(verdict_of(result, scene, record)))
    print(f"next: {next_command('localize', '--model', args.model, 'IMAGE')}")


def _as_trained(scene_model: SceneModel, select: str, data: str, split: str | None, skip_bad: bool) -> Scene:
    """The scene split as the model was trained, with a line on stderr; by its own split where the model does not know
    it. UserError where the model was trained without a test split, and that is selected."""
    from transposenet_core.evaluation.own_split import load_as_trained

    scene, known = load_as_trained(scene_model.scenes, data, skip_bad)
    if known is None:
        return scene
    counts = Counter(image.split for image in scene.images)
    listed = ", ".join(f"{counts[split]} {split}" for split in SPLITS)
    print(f"{scene.name}: split as the model was trained: {listed}", file=sys.stderr)
    if (missing := len(known.frames.test_names) - counts["test"]) > 0:
        print(f"{scene.name}: {missing} of the model's test frames are not in the data", file=sys.stderr)
    if select == "test" and not counts["test"]:
        raise UserError(
            f"scene {scene.name} ({scene.root}): the model was trained without a test split ({listed}), so no frame of "
            "it is a test; evaluate another recording of the place, or train again with --split blocks"
        )
    return scene


def _evaluated(localizer: Localizer, scene: Scene, select: str, report: Path | None) -> OfflineResult:
    """The result of one scene, printed, and drawn into the folder `report` if given."""
    from transposenet_core.evaluation.offline import evaluate_offline, image_reader
    from transposenet_core.evaluation.offline_report import draw_offline_report

    result = evaluate_offline(localizer, scene, select=select, progress=True)
    print(result.pose_table())
    if report:
        read = image_reader(scene, result.mapped_scene)
        for what, path in draw_offline_report(report, result, localizer.scene_model, read).items():
            print(f"{what}: {path}")
    if result.reconstruction:
        print(result.reconstruction)
    return result


def _write_json(path: Path, content: dict) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")
