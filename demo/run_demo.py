#!/usr/bin/env python3
"""The demo in two minutes: render a drive that training never saw, replay it to the live localizer, evaluate it.

python demo/run_demo.py          # what `make demo` runs; results are in demo/out
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from demo.drives import novelty, test_drive, training_drives
from demo.render import render_drives
from demo.retrieval_baseline import THUMBNAILS, load_retrieval_baseline
from demo.room import LENGTH, WIDTH, build_room
from transposenet_core.atomic_files import write_atomically
from transposenet_core.command_line import exit_code
from transposenet_core.evaluation.baselines import CONSTANT, RETRIEVAL, ThumbnailRetrieval
from transposenet_core.evaluation.errors import ErrorSummary, pose_errors, summarise, table
from transposenet_core.evaluation.report import EvaluatedFrame, choose_frames, draw_report
from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose import mean_pose
from transposenet_core.image_files import read_image
from transposenet_core.scene import PosedImage
from transposenet_core.scene_model import SceneModel
from transposenet_core.stopping import stoppable
from transposenet_ros.make_bag import make_bag
from transposenet_ros.replay.live_result import LiveResult
from transposenet_ros.replay_evaluation import evaluate_live

MODEL = ROOT / "demo" / "model"


def run_demo(model: Path, out: Path) -> None:
    started = time.monotonic()
    scene_model, lookup = SceneModel.load(model), load_retrieval_baseline(MODEL / THUMBNAILS)
    _step("render the test drive in a procedural room")
    training = [pose for drive in training_drives() for pose in drive.poses]
    print(f"{len(build_room().things)} objects, floor {LENGTH:g} x {WIDTH:g} m")
    trained, new = len(scene_model.scenes[0].training_positions_N3), len(test_drive().poses)
    print(f"{len(training)} recorded views, {trained} of them used for training; the test drive has {new} new ones")
    novelty(test_drive().poses, training)
    scene = load_scene(f"7scenes:{render_drives(out / 'test_drive', 'test')}")
    images = scene.select("test")
    _step("write it as a bag: images, CameraInfo, ground truth as PoseStamped and TF")
    bag = out / "test_drive_bag"
    make_bag(images, bag, intrinsics=scene.intrinsics, rate_hz=test_drive().rate, overwrite=True)
    _step("start the localizer, replay the bag through DDS at camera rate, record its poses")
    parameters = {"torch_threads": 2}
    live = evaluate_live(model, bag, node_parameters=parameters, node_log=out / "localizer.log", progress=True)
    rows = {"live localizer": live.error_summary(), **_baselines(lookup, images)}
    print(live.table(), table(rows), sep="\n\n")
    _print_verdict(rows)
    image = _draw(out / "report.png", live, images, scene_model)
    with write_atomically(out / "summary.json") as path:
        figures = {"live": live.to_dict(), "methods": {name: row.to_dict() for name, row in rows.items()}}
        path.write_text(json.dumps(figures, indent=1) + "\n")
    print(f"image: {image}\nfigures: {out / 'summary.json'}\nbag:     {bag}")
    print(f"the demo took {time.monotonic() - started:.0f} s")


def _step(what: str) -> None:
    print(f"\n== {what}", flush=True)


def _baselines(lookup: ThumbnailRetrieval, images: list[PosedImage]) -> dict[str, ErrorSummary]:
    """Errors of nearest-neighbour retrieval among all training views, and of their mean pose, on the same drive."""
    ground_truth_poses = [image.pose for image in images]
    constant = mean_pose([pose for drive in training_drives() for pose in drive.poses])
    found = [lookup.lookup(read_image(image.path)) for image in images]
    return {
        RETRIEVAL: summarise(*pose_errors(found, ground_truth_poses)),
        CONSTANT: summarise(*pose_errors([constant] * len(ground_truth_poses), ground_truth_poses)),
    }


def _print_verdict(rows: dict[str, ErrorSummary]) -> None:
    live, lookup, _ = rows.values()
    if not live.count:
        return
    print(f"\nmedian position error: {live.median_m / max(LENGTH, WIDTH):.1%} of the floor's longer side")
    metres, degrees = live.median_m / lookup.median_m, live.median_deg / lookup.median_deg
    print(f"share of the retrieval baseline's error: position {metres:.0%}, orientation {degrees:.0%}")


def _draw(path: Path, live: LiveResult, images: list[PosedImage], scene_model: SceneModel) -> Path:
    """The drive as the node received it: images are sent in the bag's order, each with its own stamp."""
    frames = [
        EvaluatedFrame(stamp * 1e-9, live.ground_truth_poses[stamp], live.estimates.get(stamp)) for stamp in live.sent
    ]
    shown = {index: read_image(images[index].path) for index in choose_frames(frames)}
    title = f"demo room: {len(live.estimates)} of {len(live.sent)} frames localized live at {test_drive().rate:g} Hz"
    draw_report(path, title, frames, scene_model.scenes[0], shown)
    return path


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL, help="another scene model of the demo's room")
    parser.add_argument("--out", type=Path, default=ROOT / "demo" / "out", help="folder for the results")
    options = parser.parse_args(arguments)

    def run() -> None:
        # The default action of SIGTERM would leave the localizer behind.
        with stoppable("stops the demo and its localizer"):
            run_demo(options.model, options.out)

    return exit_code(run)


if __name__ == "__main__":
    sys.exit(main())
