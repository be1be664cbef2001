"""`transposenet map`: poses, lens and depth of a recording from its own images."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from transposenet_core.command_line import next_command
from transposenet_core.commands.data_options import ALIGN_HELP, SCALE_HELP, SKIP_BAD_HELP, SPLIT_HELP, list_formats
from transposenet_core.errors import UserError
from transposenet_core.mapping.options import DEPTHS, LABELS, LENS, POSES, MapOptions

HELP = "make a map of a recording: better poses, its lens, and depth"
DESCRIPTION = """Make a map of a recording from its own images: poses and lens adjusted to them, and depth from the
camera's motion, as training needs it. No depth camera is needed.

  transposenet map FORMAT:PATH --out my_map [--split FILE]

my_map is a data set like any other (layout `folder`), with the split fixed: validation and test
frames take no part and keep their recorded poses. Beside it: map.json and overview.png (what was
found), map.html (points and cameras, to turn), map.ply, depths.png. After an interruption the same
command goes on where it was. Exit code 2: an error to fix, in one sentence."""
help_all = list_formats
MOST_SEEDS = 2**31  # OpenCV's are int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("place", nargs="?", metavar="FORMAT:PATH", help="the recording; --data does the same")
    add("--data", metavar="FORMAT:PATH")
    add("--out", required=True, type=Path, metavar="DIR", help="the folder to write the map to")
    add("--split", metavar="FILE", help=SPLIT_HELP)
    add("--skip-bad", action="store_true", help=SKIP_BAD_HELP)
    add("--scale", metavar="METRES", help=SCALE_HELP)
    add("--align", metavar="FILE", help=ALIGN_HELP)
    add("--poses", default="adjust", choices=POSES, help="adjust the poses to the images, or keep them")
    add("--lens", default="adjust", choices=LENS, help="the same of focal length, centre and distortion")
    depths = "from the camera's motion; of the sensor; both: the sensor's, completed; none"
    add("--depth", default="motion", choices=DEPTHS, help=depths)
    add("--labels", default="auto", choices=LABELS, help="which poses a network learns; auto: validation frames decide")
    add(
        "--pose-sigma",
        metavar="M,DEG",
        help="standard deviation of the recorded poses; default: the recording's covariances, or estimated",
    )
    add("--no-hold-out", action="store_true", help="map all training frames: hold none of them out for validation")
    add("--overwrite", action="store_true", help="replace a data set at --out")
    add("--seed", type=int, default=0, help="of the random choices")
    add("--threads", type=int, default=2, help="threads that work on images")
    parser.set_defaults(usage_error=parser.error)


def run(args: argparse.Namespace) -> None:
    if (args.place is None) == (args.data is None):
        args.usage_error("name the recording once, as FORMAT:PATH or with --data FORMAT:PATH")
    from transposenet_core.dataset_check.quick import quick_check
    from transposenet_core.mapping.build import build_map
    from transposenet_core.mapping.map_files import CARD
    from transposenet_core.mapping.report.map_card_text import map_card_text
    from transposenet_core.several_scenes import load_scenes
    from transposenet_core.stopping import stoppable

    options = options_of(args)
    data = args.place or args.data
    given = [[value] if value else [] for value in (args.split, args.scale, args.align)]
    scene = load_scenes([data], given[0], [], args.skip_bad, scales=given[1], aligns=given[2])[0]
    scene = quick_check(data, scene, args.skip_bad)
    with stoppable("stops; the same command goes on where it was"):
        mapped = build_map(scene, args.out, options, args.overwrite, sys.stderr.isatty())
    print(map_card_text(mapped.card))
    print(f"{'written':<15}{args.out} ({CARD} and figures beside the data)")
    print(f"next: {training_command(args.out, mapped.card.depth is not None)}")


def options_of(args: argparse.Namespace) -> MapOptions:
    """UserError where --pose-sigma is not two numbers, or --seed is out of range."""
    if not 0 <= args.seed < MOST_SEEDS:
        raise UserError(f"--seed is {args.seed}, allowed are 0 to {MOST_SEEDS - 1}")
    return MapOptions(
        poses=args.poses,
        lens=args.lens,
        depth=args.depth,
        labels=args.labels,
        pose_sigma=pose_sigma(args.pose_sigma) if args.pose_sigma is not None else None,
        hold_out=not args.no_hold_out,
        seed=args.seed,
        threads=args.threads,
    )


def pose_sigma(text: str) -> tuple[float, float]:
    """Metres and degrees of `M,DEG`. UserError where it is anything else."""
    try:
        metres, degrees = (float(part) for part in text.split(","))
    except ValueError:
        metres = degrees = 0.0
    if not (0 < metres < float("inf") and 0 < degrees < float("inf")):
        raise UserError(f"--pose-sigma is '{text}', allowed are metres and degrees above 0, for example 0.05,1")
    return metres, degrees


def training_command(out: Path, depth: bool) -> str:
    """The command that trains on the map."""
    preset = "scene_coordinates" if depth else "transposenet_fast"
    model = Path(f"{out.name}_model")
    return next_command("train", "--config", preset, "--data", out, "--out", model)
