#!/usr/bin/env python3
"""The effect of random damage to fields and bytes of image messages on the node's path from message to pose.

python benchmarks/decode_fuzz.py [--messages 100000] [--seed 0] [--model FOLDER]

Every message is decoded, and every decoded image is localized with the scene model. Prints the count of each outcome,
which add up to the number of messages, and the largest rise of the process's peak memory while one message was decoded.
Exit code 1 if one crashed (an error other than a named reason), gave an invalid image, or gave a pose that is not
finite or whose quaternion is not of unit length.
"""

from __future__ import annotations

import argparse
import collections
import faulthandler
import sys
import traceback
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # runs from a checkout that is not installed, too

from benchmarks.message_mutations import messages
from benchmarks.peak_memory import peak_megabytes
from transposenet_core.command_line import exit_code
from transposenet_core.errors import UserError
from transposenet_core.localizer import Localizer
from transposenet_core.progress import ProgressBar
from transposenet_ros.decoding.image_decoding import DecodeError, decode_image


class Ends:
    """The outcome of each message: `localized`, a reason, `crashed` or what was invalid."""

    def __init__(self, localizer: Localizer) -> None:
        self._localizer = localizer
        self.decoded = 0
        self.most_megabytes = 0.0
        self.counts: collections.Counter[str] = collections.Counter()

    def take(self, message: Any) -> None:
        """Decode and localize one message and count its outcome."""
        try:
            self.counts[self._end_of(message)] += 1
        except Exception:  # noqa: BLE001 - a crash is a figure of this benchmark
            self.counts["crashed"] += 1
            traceback.print_exc()

    def _end_of(self, message: Any) -> str:
        peak = peak_megabytes()
        try:
            image_HW3 = decode_image(message)
        except DecodeError as error:
            return error.reason
        finally:
            self.most_megabytes = max(self.most_megabytes, peak_megabytes() - peak)
        self.decoded += 1
        if image_HW3.ndim != 3 or image_HW3.shape[2] != 3 or image_HW3.dtype != np.uint8 or not image_HW3.size:
            return "invalid image"
        estimate = self._localizer.localize(image_HW3)
        if (pose := estimate.pose) is None:
            return estimate.reason
        # A model that rejects other places rejects noise; its pose must be valid all the same.
        finite = np.isfinite(pose.position).all() and np.isfinite(estimate.covariance_66).all()
        return "localized" if finite and abs(np.linalg.norm(pose.orientation) - 1) < 1e-6 else "invalid pose"


def fuzz(ends: Ends, count: int, seed: int) -> None:
    """Send `count` messages. Failing ones are neither shrunk nor stored: a benchmark only counts."""
    everything = list(hypothesis.HealthCheck)
    progress = ProgressBar(total=count, unit="msg", mininterval=1)

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        phases=[hypothesis.Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=everything,
    )
    @hypothesis.given(messages)
    def send(message: Any) -> None:
        ends.take(message)
        progress.update()

    send()
    progress.close()


def table(ends: Ends) -> str:
    total = sum(ends.counts.values())
    bad = ("crashed", "invalid image", "invalid pose")
    dropped = {reason: n for reason, n in sorted(ends.counts.items()) if reason not in {"localized", *bad}}
    rows = [("messages", total), ("decoded", ends.decoded), ("localized", ends.counts["localized"])]
    rows += [("dropped", sum(dropped.values())), *((f"  {reason}", n) for reason, n in dropped.items())]
    rows += [(name, ends.counts[name]) for name in bad]
    rows += [("most MB for one", round(ends.most_megabytes))]
    return "\n".join(f"{name:<20}{count:>10}" for name, count in rows)


def run(args: argparse.Namespace) -> None:
    if args.messages < 1:
        raise UserError(f"--messages is {args.messages}; give at least 1")
    localizer = Localizer(args.model, device="cpu")
    ends = Ends(localizer)
    fuzz(ends, args.messages, args.seed)
    print(table(ends))
    if any(ends.counts[name] for name in ("crashed", "invalid image", "invalid pose")):
        sys.exit(1)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, default=ROOT / "demo" / "model", help="folder of a scene model")
    args = parser.parse_args(arguments)
    return exit_code(lambda: run(args))


if __name__ == "__main__":
    faulthandler.enable()  # a decoder that crashes the process leaves a traceback, but no table
    sys.exit(main())
