"""`transposenet attention`: what a scene model's encoders attend to (TransPoseNet, Figure 3)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from transposenet_core.command_line import next_command
from transposenet_core.commands.data_options import MODEL_HELP
from transposenet_core.commands.image_paths import images_of
from transposenet_core.errors import UserError

HELP = "draw what a model's two encoders attend to"
DESCRIPTION = """Show what a scene model's two encoders attend to, and whether that is corners and edges
(TransPoseNet, Figure 3).

  transposenet attention MODEL --images FILE_OR_FOLDER ... --out figure.png [--rows 4]

The figure has a row for some of the images: the image, the position encoder's attention, the
orientation encoder's (the token's, in the last layer). The figures that are printed are means over
all images, with their standard errors."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help=MODEL_HELP)
    add("--images", required=True, nargs="+", type=Path, metavar="PATH", help="files, or folders of them")
    add("--out", required=True, type=Path, metavar="FILE", help="the figure: .png, .jpg")
    add("--rows", type=int, default=4, help="images in the figure, spread over those given")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"))


def run(args: argparse.Namespace) -> None:
    from transposenet_core.image_files import IMAGE_SUFFIXES

    if args.out.suffix not in IMAGE_SUFFIXES:
        raise UserError(
            f"--out {args.out}: '{args.out.suffix}' is not a format of figures; allowed are {', '.join(IMAGE_SUFFIXES)}"
        )
    if args.rows < 1:
        raise UserError(f"--rows {args.rows}: a figure has at least 1 row")
    import numpy as np

    from transposenet_core.image_files import read_image
    from transposenet_core.inspection.attention import attention_figures, summary
    from transposenet_core.inspection.attention_figure import draw_attention
    from transposenet_core.localizer import Localizer
    from transposenet_core.progress import ProgressBar

    localizer = Localizer(args.model, device=args.device, backend="torch")
    paths = images_of(args.images, "--images")
    figures = []
    for path in ProgressBar(paths, desc="localize", unit="img", disable=not sys.stderr.isatty()):
        figure = attention_figures(localizer, read_image(path))
        if figure is None:
            network = localizer.scene_model.architecture
            raise UserError(
                f"{args.model}: its network ({network}) has no attention maps; transposenet and transposenet_fast "
                "have, with image.crops=1"
            )
        figures.append(figure)
    chosen = sorted({round(place) for place in np.linspace(0, len(paths) - 1, min(args.rows, len(paths)))})
    draw_attention(args.out, localizer, [read_image(paths[place]) for place in chosen])
    print(summary(figures))
    print(f"figure: {args.out} ({', '.join(paths[place].name for place in chosen)})")
    print(f"next: {next_command('localize', '--model', args.model, *args.images)}")
