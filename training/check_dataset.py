#!/usr/bin/env python3
"""Look at a data set before a network learns it: everything that is wrong at once, a card of figures, a picture.

python training/check_dataset.py FORMAT:PATH [--split FILE] [--out DIR]
python training/check_dataset.py --format labels-csv --data FILE --labels-only      where the pictures are not there

DIR gets card.json (the card and every fault) and overview.png. Exit code 0: good data, remarks or none; 2: refused.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed, too

from transposenet_core.atomic_files import write_atomically
from transposenet_core.command_line import exit_code
from transposenet_core.dataset_check.card_text import card_text, faults_text
from transposenet_core.dataset_check.check import Findings, check_dataset
from transposenet_core.dataset_check.epipolar import TITLE_HEIGHT, epipolar_picture, median_residual_px
from transposenet_core.dataset_check.matching import Matches
from transposenet_core.dataset_check.overview import EPIPOLAR, draw_overview
from transposenet_core.errors import UserError
from transposenet_core.formats import SKIP_BAD_HELP, SPLIT_HELP, describe_formats
from transposenet_core.formats.faults import MOST_SKIPPED


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"formats:\n{describe_formats()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("place", nargs="?", metavar="FORMAT:PATH", help="the data set; --data does the same")
    parser.add_argument("--data", metavar="FORMAT:PATH")
    parser.add_argument("--format", help="the format, where it does not stand before the path")
    parser.add_argument("--split", help=SPLIT_HELP)
    parser.add_argument("--labels-only", action="store_true", help="the pictures are not there: judge the labels alone")
    parser.add_argument("--no-motion", action="store_true", help="do not compare the poses with the pictures' motion")
    parser.add_argument("--skip-bad", action="store_true", help=SKIP_BAD_HELP)
    parser.add_argument("--all", action="store_true", help="print every fault, not the first five of a kind")
    parser.add_argument("--out", type=Path, metavar="DIR", help="for card.json and overview.png; default: check_SCENE")
    parser.add_argument("--threads", type=int, default=2, help="that decode pictures")
    args = parser.parse_args(arguments)
    if (args.place is None) == (args.data is None):
        parser.error("name the data set once, as FORMAT:PATH or with --data FORMAT:PATH")
    return exit_code(lambda: check(args))


def check(args: argparse.Namespace) -> None:
    data = args.place or args.data
    if args.format:
        data = f"{args.format}:{data}"
    findings = check_dataset(data, args.split, args.labels_only, not args.no_motion, args.threads, sys.stderr.isatty())
    out = args.out or Path("check_" + re.sub(r"[^\w.-]+", "_", findings.scene.name))  # the name is a file's
    if findings.card:
        print(card_text(findings.card))
    if findings.offset:
        print(f"{'time offset':<15}{findings.offset.sentence()}")
    if findings.motion:
        print(f"{'motion':<15}{findings.motion.sentence()}")
    if told := faults_text(findings.faults.all, args.all):
        print(told)
    with write_atomically(out / "card.json") as path:
        path.write_text(json.dumps(findings.to_dict(), indent=1) + "\n")
    written = f"{out}/card.json"
    if findings.card and findings.tracks and findings.vertical:
        draw_overview(
            out / "overview.png",
            findings.card,
            findings.tracks,
            findings.vertical,
            not args.labels_only,
            epipolar_pictures(findings.matches),
        )
        written += f", {out}/overview.png"
    print(f"{'written':<15}{written}")
    print(f"{'verdict':<15}{verdict(findings, data, args.skip_bad)}")


def epipolar_pictures(matches: Matches | None) -> list[tuple[str, np.ndarray]]:
    """Captions and pictures of a few pairs that lie far from each other in the scene."""
    if matches is None or matches.lens is None or not matches.pairs:
        return []
    places = np.unique(np.linspace(0, len(matches.pairs) - 1, EPIPOLAR + 2).round().astype(int)[1:-1])
    shown = []
    for pair in (matches.pairs[place] for place in places):
        names = f"{Path(pair.first.name).name}, {Path(pair.second.name).name}"
        caption = f"{names}: {median_residual_px(pair, matches.lens):.1f} px off (median)"
        shown.append((caption, epipolar_picture(pair, matches.lens)[TITLE_HEIGHT:]))  # its own title is too small here
    return shown


def verdict(findings: Findings, data: str, skip_bad: bool) -> str:
    """What to do with the data. UserError where they are refused."""
    refused, used = len(findings.faults.refused), len(findings.scene.images)
    few = used > 0 and refused <= MOST_SKIPPED * (used + refused)
    if not used or (refused and not (skip_bad and few)):
        advice = "mend them, or leave them out with --skip-bad" if few else f"more than {MOST_SKIPPED:.0%}: mend them"
        raise UserError(f"{data}: refused for {refused} faults beside {used} good pictures; {advice}")
    if findings.motion and findings.motion.wrong:
        told = f"{findings.motion.sentence()}; {findings.motion.advice()}"
        raise UserError(f"{data}: refused, the pictures contradict the poses: {told}")
    return f"good: {used} pictures to be used" + (f", {refused} faults left out" if refused else "")


if __name__ == "__main__":
    sys.exit(main())
