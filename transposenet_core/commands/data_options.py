"""Options of several commands: which data, of which split, under which name."""

from __future__ import annotations

import argparse

SPLIT_HELP = (
    "a CSV 'split,image', or a method: blocks (of time, with gaps between), sequences, random (which leaks); "
    "default: the data set's own split"
)
SKIP_BAD_HELP = "leave out rows with faults, up to 5 %% of them"
SEVERAL_HELP = "given several times: several scenes in one model"
SEVERAL_SPLITS_HELP = "with several --data one for each, in the same order; 'own' is the data set's own"
NAME_HELP = "the scene's name in the model, one for each --data; default: the data set's folder"
MODEL_HELP = "a scene model: the folder that train --out wrote"


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """--data, --split and --name for one or several scenes, and --skip-bad: what `load_scenes` takes."""
    parser.add_argument("--data", required=True, action="append", metavar="FORMAT:PATH", help=SEVERAL_HELP)
    parser.add_argument(
        "--split", action="append", default=[], metavar="FILE", help=f"{SPLIT_HELP}; {SEVERAL_SPLITS_HELP}"
    )
    parser.add_argument("--name", action="append", default=[], help=NAME_HELP)
    parser.add_argument("--skip-bad", action="store_true", help=SKIP_BAD_HELP)


def data_again(args: argparse.Namespace) -> list[str]:
    """The same options as words, for the next command."""
    words = []
    for option in ("data", "split", "name"):
        words += [word for value in getattr(args, option) for word in (f"--{option}", value)]
    return words + ["--skip-bad"] * args.skip_bad


def list_formats() -> str:
    """Every format of --data with its options, for --help-all."""
    from transposenet_core.formats import describe_formats

    return f"formats of --data:\n{describe_formats()}"
