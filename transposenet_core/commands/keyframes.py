"""`transposenet keyframes`: gives a scene model that was trained without them keyframes, or takes them away."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from transposenet_core.command_line import next_command
from transposenet_core.commands.data_options import MODEL_HELP, add_data_options, data_again, list_formats, load_given
from transposenet_core.errors import UserError

if TYPE_CHECKING:
    from transposenet_core.geometry.intrinsics import Intrinsics
    from transposenet_core.scene import Scene

HELP = "give a scene model keyframes, against which poses are refined"
DESCRIPTION = """Give a scene model keyframes: small grey training images with depth, against which poses are
refined. Presets with `keyframes` make them while they train; this adds them later, or others.

  transposenet keyframes MODEL --data my_map [--most 500]
  transposenet keyframes MODEL --remove

They are made from frames that the model was trained on, which need depth (from a sensor, or by
`transposenet map`). Keyframes show the place: remove them before you pass on a model of one that
others must not see."""
MOST = 500
SAME_PX = 0.01  # by which figures of one camera differ when they are written
help_all = list_formats


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help=MODEL_HELP)
    add_data_options(parser, "the model's own split", required=False)
    parser.add_argument("--most", type=int, default=MOST, metavar="N", help="keyframes of a scene, at most")
    parser.add_argument("--remove", action="store_true", help="take the keyframes out of the model")
    parser.add_argument("--seed", type=int, default=0, help="of the poses that the error is measured from")


def run(args: argparse.Namespace) -> None:
    """Write the model's description anew, and its keyframes beside it. UserError where the data do not fit."""
    from transposenet_core.evaluation.offline import find_mapped_scene
    from transposenet_core.evaluation.own_split import load_as_trained
    from transposenet_core.scene_model import SceneModel
    from transposenet_core.training.refinement_error import scene_keyframes

    if bool(args.data) == args.remove:
        raise UserError("give --data to make keyframes of, or --remove; one of the two")
    if args.most < 1:
        raise UserError(f"--most {args.most}: at least 1 keyframe; --remove takes them away")
    model = SceneModel.load(args.model)
    if args.remove:
        for mapped in model.scenes:
            mapped.keyframes = mapped.refinement = None
        model.save_beside_weights(args.model)
        print(f"removed: the keyframes of {model.title}")
        return

    def as_trained(data: str, _: str | None, skip_bad: bool) -> Scene:
        return load_as_trained(model.scenes, data, skip_bad)[0]

    for scene in load_given(args, None if args.split else as_trained):
        mapped = find_mapped_scene(model, scene)
        check_camera(scene.intrinsics, mapped.intrinsics, args.model)
        made, sentence = scene_keyframes(scene, args.most, 2, args.seed)
        if made is None:
            raise UserError(f"{scene.name} ({scene.root}): {sentence}")
        mapped.keyframes, mapped.refinement = made.file, made.error
        print(f"{scene.name}: {sentence}")
    model.save_beside_weights(args.model)
    print(f"next: {next_command('evaluate', args.model, *data_again(args))}")


def check_camera(recorded: Intrinsics | None, trained: Intrinsics | None, model: Path) -> None:
    """UserError where the data's camera is not the one that the model compares images of."""
    from transposenet_core.geometry.undistortion import Undistorter

    if recorded is None or trained is None:
        return  # said by who makes the keyframes; and a model without a camera cannot refine
    found = Undistorter(recorded).rectified
    if (found.width, found.height) != (trained.width, trained.height):
        raise UserError(
            f"{model}: trained with images of {trained.width}x{trained.height}, these data have "
            f"{found.width}x{found.height}; give the data that it was trained on"
        )
    apart = max(abs(getattr(found, name) - getattr(trained, name)) for name in ("fx", "fy", "cx", "cy"))
    if apart > SAME_PX:
        raise UserError(
            f"{model}: trained with the focal length {trained.fx:.1f} px and the centre {trained.cx:.1f}, "
            f"{trained.cy:.1f}, these data state {found.fx:.1f} and {found.cx:.1f}, {found.cy:.1f}; give the data that "
            "it was trained on"
        )
