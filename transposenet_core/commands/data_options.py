"""Options of several commands: which data, of which split, under which name."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transposenet_core.scene import Scene

OWN_SPLIT = "the data set's own split"
SPLIT_HELP = (
    "a CSV 'split,image', or a method: blocks (of time, with gaps between), sequences, random (which leaks); "
    f"{OWN_SPLIT} where it is left out"
)
SKIP_BAD_HELP = "leave out rows with faults, up to 5 %% of them"
SEVERAL_HELP = "given several times: several scenes in one model"
SEVERAL_SPLITS_HELP = "with several --data one for each, in the same order; 'own' is the data set's own"
NAME_HELP = "the scene's name in the model, one for each --data; default: the data set's folder"
SCALE_HELP = (
    "of a scene in arbitrary units (COLMAP, nerfstudio): metres per unit, or a known distance between two cameras, "
    "IMAGE,IMAGE=METRES"
)
ALIGN_HELP = (
    "move a scene into a map in metres: a CSV with three or more correspondences, image,x,y,z (camera positions in the "
    "map) or x,y,z,map_x,map_y,map_z (points in both); or odometry:FORMAT:PATH, the scale alone from odometry poses "
    "of the same images"
)
MODEL_HELP = "a scene model: the folder that train --out wrote"


def add_data_options(
    parser: argparse.ArgumentParser, default_split: str = "the data set's own split", required: bool = True
) -> None:
    """--data, --split, --name, --scale and --align for one or several scenes, and --skip-bad: see `load_given`."""
    parser.add_argument("--data", required=required, action="append", metavar="FORMAT:PATH", help=SEVERAL_HELP)
    parser.add_argument(
        "--split",
        action="append",
        default=[],
        metavar="FILE",
        help=f"{SPLIT_HELP.replace(OWN_SPLIT, default_split)}; {SEVERAL_SPLITS_HELP}",
    )
    parser.add_argument("--name", action="append", default=[], help=NAME_HELP)
    parser.add_argument("--skip-bad", action="store_true", help=SKIP_BAD_HELP)
    parser.add_argument("--scale", action="append", default=[], metavar="METRES", help=SCALE_HELP)
    parser.add_argument("--align", action="append", default=[], metavar="FILE", help=ALIGN_HELP)


def load_given(args: argparse.Namespace, load: Callable[[str, str | None, bool], Scene] | None = None) -> list[Scene]:
    """The scenes that these options say, each read by `load` where it is given. UserError as of `load_scenes`."""
    from transposenet_core.formats import load_scene
    from transposenet_core.several_scenes import load_scenes

    lists = {"scales": args.scale, "aligns": args.align}
    return load_scenes(args.data, args.split, args.name, args.skip_bad, **lists, load=load or load_scene)


def data_again(args: argparse.Namespace) -> list[str]:
    """The same options as words, for the next command."""
    words = []
    for option in ("data", "split", "name", "scale", "align"):
        words += [word for value in getattr(args, option) for word in (f"--{option}", value)]
    return words + ["--skip-bad"] * args.skip_bad


def list_formats() -> str:
    """Every format of --data with its options, for --help-all."""
    from transposenet_core.formats import describe_formats

    return f"formats of --data:\n{describe_formats()}"
