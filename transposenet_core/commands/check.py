"""`transposenet check`: check a data set before training on it."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from transposenet_core.command_line import next_command
from transposenet_core.commands.data_options import SKIP_BAD_HELP, SPLIT_HELP, list_formats
from transposenet_core.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from transposenet_core.dataset_check.check import Findings
    from transposenet_core.dataset_check.matching import Matches

HELP = "all faults of a data set, a card of figures, an overview image"
DESCRIPTION = """Check a data set before training on it: all faults at once, a card of figures, an overview image.

  transposenet check FORMAT:PATH [--split FILE] [--out DIR]
  transposenet check --format labels-csv --data FILE --labels-only      without the images

DIR gets card.json (the card and every fault) and overview.png. Exit code 0: good data, with or
without remarks; 2: refused."""
help_all = list_formats


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("place", nargs="?", metavar="FORMAT:PATH", help="the data set; --data does the same")
    add("--data", metavar="FORMAT:PATH")
    add("--format", help="the format, if it is not before the path")
    add("--split", metavar="FILE", help=SPLIT_HELP)
    add("--labels-only", action="store_true", help="check the labels alone, without the images")
    add("--no-motion", action="store_true", help="do not compare the poses with the images' motion")
    add("--skip-bad", action="store_true", help=SKIP_BAD_HELP)
    add("--all", action="store_true", help="print every fault, not the first five of a kind")
    add("--out", type=Path, metavar="DIR", help="for card.json and overview.png; default: check_SCENE")
    add("--threads", type=int, default=2, help="threads that decode images")
    parser.set_defaults(usage_error=parser.error)


def run(args: argparse.Namespace) -> None:
    if (args.place is None) == (args.data is None):
        args.usage_error("name the data set once, as FORMAT:PATH or with --data FORMAT:PATH")
    from transposenet_core.atomic_files import write_atomically
    from transposenet_core.dataset_check.card_text import card_text, faults_text
    from transposenet_core.dataset_check.check import check_dataset
    from transposenet_core.dataset_check.overview import draw_overview

    data = args.place or args.data
    if args.format:
        data = f"{args.format}:{data}"
    findings = check_dataset(data, args.split, args.labels_only, not args.no_motion, args.threads, sys.stderr.isatty())
    out = args.out or Path(f"check_{file_name(findings)}")
    if findings.card:
        print(card_text(findings.card))
    if findings.offset:
        print(f"{'time offset':<15}{findings.offset.sentence(findings.scene.time_unit[0])}")
    if findings.motion:
        print(f"{'motion':<15}{findings.motion.sentence()}")
    if text := faults_text(findings.faults.all, args.all):
        print(text)
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
            epipolar_images(findings.matches),
        )
        written += f", {out}/overview.png"
    print(f"{'written':<15}{written}")
    print(f"{'verdict':<15}{verdict(findings, data, args.skip_bad)}")
    print(f"next: {following_command(findings, data, args)}")


def following_command(findings: Findings, data: str, args: argparse.Namespace) -> str:
    """The command that trains on data with depth, or that makes a map of data without; for labels alone the check with
    the images, which comes first; where there is nothing to learn the one that localizes their images."""
    from transposenet_core.dataset_check.usability import usability_of

    options = ["--split", args.split] * bool(args.split) + ["--skip-bad"] * args.skip_bad
    if args.labels_only:
        return next_command("check", data, *options)
    scene = findings.scene
    if not usability_of(scene).learnable:
        return next_command("localize", "--model", "MODEL", scene.images[0].path)
    name = file_name(findings)
    if not (scene.depth_camera and scene.intrinsics):
        return next_command("map", data, *options, "--out", f"map_{name}")
    return next_command("train", "--config", "scene_coordinates", "--data", data, *options, "--out", f"model_{name}")


def file_name(findings: Findings) -> str:
    """The scene's name as a file name."""
    return re.sub(r"[^\w.-]+", "_", findings.scene.name)


def epipolar_images(matches: Matches | None) -> list[tuple[str, np.ndarray]]:
    """Captions and images of a few pairs that lie far from each other in the scene."""
    import numpy as np

    from transposenet_core.dataset_check.epipolar import epipolar_image, median_residual_px
    from transposenet_core.dataset_check.overview import EPIPOLAR

    if matches is None or matches.lens is None or not matches.pairs:
        return []
    places = np.unique(np.linspace(0, len(matches.pairs) - 1, EPIPOLAR + 2).round().astype(int)[1:-1])
    shown = []
    for pair in (matches.pairs[place] for place in places):
        names = f"{Path(pair.first.name).name}, {Path(pair.second.name).name}"
        caption = f"{names}: {median_residual_px(pair, matches.lens):.1f} px off (median)"
        shown.append((caption, epipolar_image(pair, matches.lens)))
    return shown


def verdict(findings: Findings, data: str, skip_bad: bool) -> str:
    """What can be done with the data. UserError where they are refused."""
    from transposenet_core.dataset_check.usability import usability_of
    from transposenet_core.formats.faults import MOST_SKIPPED

    refused, used = len(findings.faults.refused), len(findings.scene.images)
    too_many = findings.faults.too_many(used)
    few = used > 0 and not too_many
    if not used or (refused and not (skip_bad and few)):
        advice = (
            "fix them, or leave them out with --skip-bad"
            if few
            else f"more than {MOST_SKIPPED:.0%} of {too_many or 'them'}: fix the data"
        )
        raise UserError(
            f"{data}: refused for {refused} faults, {used} images are good; {advice}{findings.faults.missing_advice}"
        )
    if findings.motion and findings.motion.wrong:
        text = f"{findings.motion.sentence()}; {findings.motion.advice()}"
        raise UserError(f"{data}: refused, the images contradict the poses: {text}")
    usability = usability_of(findings.scene)
    text = f"{used} usable image{'s' * (used > 1)}" + (f", {refused} faults left out" if refused else "")
    limits = f"; {usability.limits}" if usability.limits else ""
    return f"{'good' if usability.learnable else 'nothing to learn'}: {text}{limits}"
