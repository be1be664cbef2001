"""What is made of the record of a replay: errors, warnings and losses, without a node."""

from __future__ import annotations

import json

import numpy as np
import pytest
from untrained import with_scene

from transposenet_core.geometry.pose import Pose, stack
from transposenet_core.scene_model import KnownFrames, SceneModel
from transposenet_ros.replay.live_result import evaluate_replay, with_scenes
from transposenet_ros.replay.protocol import ReplayRecord


def test_unaccounted_frames_are_shown():
    ground_truth = Pose(np.zeros(3), np.array([1.0, 0, 0, 0]))
    record = ReplayRecord(
        sent={1: 100, 2: 2_000_100, 3: 4_000_100, 4: 6_000_100},
        received={1: 3_000_100},
        poses={1: [3.0, 4, 0, 1, 0, 0, 0]},
        before={"received": 5, "localized": 5, "dropped_superseded": 1},
        after={"received": 8, "localized": 6, "dropped_superseded": 2},
    )
    result = evaluate_replay(ReplayRecord.from_dict(json.loads(json.dumps(record.to_dict()))), {1: ground_truth}, {})
    assert result.dropped == {"superseded": 1, "lost_in_transport": 1}
    assert result.unaccounted == 1 and "UNACCOUNTED" in result.table()
    assert result.errors()[0].tolist() == [5.0] and result.latency_ms() == (3.0, 3.0)
    assert "no TF received" in result.table()
    assert result.to_dict()["refined"] is None and "refined" not in result.table()


def test_refined_frames_are_counted_where_keyframes_were_asked():
    here = Pose(np.zeros(3), np.array([1.0, 0, 0, 0]))
    record = replay_record_of([here] * 4)
    record.refined = {1: True, 2: False, 3: True, 9: True}  # 9 is of before
    record.node_ms = {"refine_p50_ms": 4.0, "refine_p95_ms": 6.5}
    result = evaluate_replay(ReplayRecord.from_dict(json.loads(json.dumps(record.to_dict()))), {1: here}, {})
    rows = dict(line.split("  ", 1) for line in result.table().splitlines())
    assert result.to_dict()["refined"] == 2 and rows["refined"].strip() == "2"
    assert rows["of it refinement"].strip() == "p50 4.0 ms, p95 6.5 ms"


def replay_record_of(poses: list[Pose]) -> ReplayRecord:
    """A replay with these poses, a frame every 0.1 s."""
    moments = {stamp: 10**8 * stamp for stamp in range(1, len(poses) + 1)}
    numbers = {s: [*pose.position, *pose.orientation] for s, pose in zip(moments, poses, strict=True)}
    after = {"received": len(poses), "localized": len(poses)}
    return ReplayRecord(sent=moments, received=moments, poses=numbers, before={}, after=after)


def test_e02_ground_truth_in_another_frame_is_named_and_never_aligned_silently(drive):
    poses = [image.pose for image in drive]
    moved = Pose([30.0, -2, 1], [0.8, 0, 0, 0.6])
    ground_truth_poses = {s: moved @ pose for s, pose in enumerate(poses, start=1)}
    result = evaluate_replay(replay_record_of(poses), ground_truth_poses, {})
    figures = result.to_dict()
    assert figures["errors"]["median_m"] > 20 and figures["aligned_se3"]["errors"]["median_m"] < 1e-9
    T_ground_truth_map = Pose.from_dict(figures["aligned_se3"]["T_ground_truth_map"])
    assert T_ground_truth_map.position == pytest.approx(moved.position, abs=1e-9)
    lines = result.table().splitlines()
    assert lines[0].startswith("WARN") and "seems to be in another frame" in figures["warnings"][0]
    assert any(line.startswith("position error") and f"{figures['errors']['median_m']:.3f} m" in line for line in lines)
    assert any(
        line.startswith("aligned by SE(3)") and line.endswith("(of the frames, not the result)") for line in lines
    )
    right = evaluate_replay(replay_record_of(poses), dict(enumerate(poses, start=1)), {})
    assert right.warnings() == [] and "WARN" not in right.table()
    twice = {s: Pose(2 * pose.position, pose.orientation) for s, pose in enumerate(poses, start=1)}
    scaled = evaluate_replay(replay_record_of(poses), twice, {}).to_dict()["aligned_se3"]
    assert scaled["scale"] == pytest.approx(2) and scaled["errors"]["median_m"] > 0.1


def test_e03_little_ground_truth_is_reported_first(drive):
    poses = [image.pose for image in drive]
    some = {s: pose for s, pose in enumerate(poses, start=1) if s <= 0.8 * len(drive)}
    result = evaluate_replay(replay_record_of(poses), some, {})
    expected = f"only {len(some)} of {len(drive)} images have the stamp of a ground-truth pose, 90% are required"
    assert expected in result.to_dict()["warnings"][0] and expected in result.table().splitlines()[0]
    assert evaluate_replay(replay_record_of(poses), some, {}, min_match=0.75).warnings() == []


def test_e10_a_replay_of_frames_that_were_trained_on_says_so_first(drive, model, tmp_path):
    poses, names = [image.pose for image in drive], {s: image.name for s, image in enumerate(drive, start=1)}
    result = evaluate_replay(replay_record_of(poses), dict(enumerate(poses, start=1)), names)
    known = KnownFrames.trained_on(*stack(poses[:3]), [image.name for image in drive[:3]])
    with_scene(SceneModel.load(model), frames=known).save(tmp_path / "known")
    found = with_scenes(result, tmp_path / "known")
    expected = f"3 of {len(drive)} evaluated frames ({3 / len(drive):.0%}) were trained on"
    assert found.table().splitlines()[0].startswith("WARN") and expected in found.table().splitlines()[0]
    assert expected in found.to_dict()["warnings"][0] and found.to_dict()["evaluated_frames"]["trained_on"] == 3
    with_scene(SceneModel.load(model), units="arbitrary").save(tmp_path / "arbitrary")
    arbitrary = with_scenes(result, tmp_path / "arbitrary")
    assert " m," not in arbitrary.table() and "recall_5cm_5deg" not in arbitrary.to_dict()["errors"]
