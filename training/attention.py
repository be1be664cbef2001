#!/usr/bin/env python3
"""Show what a scene model's two encoders attend to, and say whether that is corners and edges (TransPoseNet, Figure 3).

python training/attention.py MODEL --images FILE_OR_FOLDER ... --out figure.png [--rows 4]

The figure has a row for some of the pictures: the picture, the position encoder's attention, the orientation encoder's
(the token's, in the last layer). The figures that are printed are means over all pictures, with their standard errors.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed, too

from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_core.image_files import read_image
from transposenet_core.inspection.attention import attention_figures, summary
from transposenet_core.inspection.attention_figure import draw_attention
from transposenet_core.localizer import Localizer

SUFFIXES = (".png", ".jpg", ".jpeg")


def pictures_of(places: list[Path]) -> list[Path]:
    """The files named, and all pictures in the folders named except depth. UserError where that makes none."""
    found = []
    for place in places:
        inside = [place]
        if place.is_dir():
            inside = sorted(path for path in place.iterdir() if path.suffix.lower() in SUFFIXES)
        found += [path for path in inside if ".depth." not in path.name]
    if not found:
        raise UserError(f"--images {places[0]}: no picture there; name files or folders of {', '.join(SUFFIXES)}")
    return found


def run(args: argparse.Namespace) -> None:
    if args.out.suffix not in SUFFIXES:
        raise UserError(
            f"--out {args.out}: '{args.out.suffix}' is no format of a figure here; {', '.join(SUFFIXES)} are"
        )
    if args.rows < 1:
        raise UserError(f"--rows {args.rows}: a figure has at least 1 row")
    localizer = Localizer(args.model, device=args.device)
    paths = pictures_of(args.images)
    figures = []
    for path in tqdm(paths, desc="localize", unit="img", disable=not sys.stderr.isatty()):
        figure = attention_figures(localizer, read_image(path))
        if figure is None:
            network = localizer.scene_model.architecture
            raise UserError(
                f"{args.model}: its network ({network}) gives no attention maps; transposenet and transposenet_fast "
                "do, with picture.crops=1"
            )
        figures.append(figure)
    chosen = sorted({round(place) for place in np.linspace(0, len(paths) - 1, min(args.rows, len(paths)))})
    draw_attention(args.out, localizer, [read_image(paths[place]) for place in chosen])
    print(summary(figures))
    print(f"figure: {args.out} ({', '.join(paths[place].name for place in chosen)})")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL", help="a scene model: the folder that train.py --out wrote")
    parser.add_argument(
        "--images", required=True, nargs="+", type=Path, metavar="PATH", help="files, or folders of them"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="the figure: .png, .jpg")
    parser.add_argument("--rows", type=int, default=4, help="pictures in the figure, spread over those given")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    args = parser.parse_args(arguments)
    return exit_code(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
