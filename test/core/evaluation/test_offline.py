"""Offline evaluation as a library: the figures, text and files that evaluate.py has always given, scene by scene."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_scene import write_small_scene
from training_runs import train
from untrained import HELD_OUT, save_untrained

from transposenet_core.errors import UserError
from transposenet_core.estimate import Estimate
from transposenet_core.evaluation.baselines import CONSTANT, RETRIEVAL, baseline_poses
from transposenet_core.evaluation.errors import pose_errors, write_predictions
from transposenet_core.evaluation.offline import evaluate_offline, image_reader, in_scene, with_crops
from transposenet_core.evaluation.offline_report import draw_offline_report
from transposenet_core.evaluation.offline_result import OTHER_SCENE, OfflineResult
from transposenet_core.evaluation.training_record import TrainingRecord
from transposenet_core.evaluation.verdict import verdict_of
from transposenet_core.formats import load_scene
from transposenet_core.geometry.pose import Pose
from transposenet_core.geometry.undistortion import Undistorter
from transposenet_core.image_files import read_image
from transposenet_core.localizer import Localizer
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene import Intrinsics, Scene
from transposenet_core.scene_model import MappedScene, SceneModel

ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "demo" / "model"
evaluate = runpy.run_path(str(ROOT / "training" / "evaluate.py"))["main"]
# What evaluate.py printed and wrote of `made_result` when all of it was in that script (commit b64e6a4); texts updated.
GOLDEN = json.loads((Path(__file__).parent / "offline_golden.json").read_text())
T_MOVED = Pose([2.0, -1.0, 0.5], [np.cos(0.3), 0, np.sin(0.3), 0])
CASES: dict[str, dict] = {
    "one scene": {},
    "another frame": {"T_moved": T_MOVED},
    "some lost": {"lost": (0, 3, 7)},
    "nothing localized": {"lost": range(12)},
    "two scenes": {"lost": (1,), "elsewhere": (2, 5, 6)},
}


def made_estimates(
    ground_truth_poses: list[Pose], T_moved: Pose | None = None, lost: object = (), elsewhere: object = ()
) -> list:
    """Estimates off the ground truth by fixed centimetres and degrees."""
    found = []
    for k, ground_truth in enumerate(ground_truth_poses):
        half = np.radians(1 + k % 4) / 2
        error = Pose([0.03 * np.sin(k), 0.02 * np.cos(2 * k), 0.01 * (k % 3)], [np.cos(half), 0, 0, np.sin(half)])
        pose = ground_truth @ error if T_moved is None else T_moved @ ground_truth @ error
        sigma_6 = np.array([0.02, 0.02, 0.02, 0.04, 0.04, 0.04]) * (1 + k % 2)
        reason, scene = ("out_of_scene" if k in lost else ""), ("shelf" if k in elsewhere else "desk")
        found.append(Estimate(pose, np.diag(sigma_6**2), not reason, reason, scene, "map"))
    return found


def made_result(root: Path, case: str) -> OfflineResult:
    """A result of 12 images of a small scene with made estimates and the two baselines' own poses."""
    scene = load_scene(f"7scenes:{write_small_scene(root / 'desk', frames=12)}")
    mapped = MappedScene("desk", "map", HELD_OUT)
    images = scene.select("test")
    estimates = [in_scene(e, mapped) for e in made_estimates([image.pose for image in images], **CASES[case])]
    baselines = baseline_poses(images, scene.select("train"), image_reader(scene, mapped))
    several = case == "two scenes"
    return OfflineResult("desk", "test", "transposenet", mapped, images, estimates, baselines, several)


def flat(content: object, where: str = "") -> dict[str, object]:
    """The leaves of JSON by their path, in its order."""
    if isinstance(content, list):
        content = dict(enumerate(content))
    if not isinstance(content, dict):
        return {where: content}
    return {path: leaf for key, part in content.items() for path, leaf in flat(part, f"{where}/{key}").items()}


@pytest.mark.parametrize("case", CASES)
def test_text_and_figures_are_those_of_evaluate_before_it_was_a_library(case: str, tmp_path: Path) -> None:
    result = made_result(tmp_path, case)
    # Warnings stand at the head since then, and JSON has them and the units as well.
    assert result.table().splitlines() == sorted(GOLDEN[case]["table"], key=lambda line: not line.startswith("WARN"))
    written = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert list(written)[:2] == ["warnings", "units"] and written.pop("units") == "metres"
    assert [f"WARN {text}" for text in written.pop("warnings")] == [
        line for line in GOLDEN[case]["table"] if line.startswith("WARN")
    ]
    found, expected = flat(written), flat(GOLDEN[case]["figures"])
    assert list(found) == list(expected)
    for path, value in expected.items():
        assert found[path] == (value if value is None else pytest.approx(value, rel=1e-6, abs=1e-9)), path


def test_e05_nothing_localized_has_baselines_and_no_errors(tmp_path: Path) -> None:
    result = made_result(tmp_path, "nothing localized")
    assert result.localized == [] and result.summary().count == 0 and [len(e) for e in result.errors()] == [0, 0]
    assert result.alignment is None and result.covariance_calibration is None and result.warnings() == []
    assert set(result.localized_poses) == {None}
    assert [result.summaries()[name].count for name in (RETRIEVAL, CONSTANT)] == [12, 12]
    assert len(result.errors_of_all()[0]) == 12  # also estimates that are not localized
    scene_model = SceneModel.load(DEMO)
    written = draw_offline_report(tmp_path / "report", result, scene_model, lambda image: read_image(image.path))
    assert written == {"image": tmp_path / "report" / "report.png"}
    assert read_image(written["image"]).shape[1] > 1000


def test_errors_are_of_the_localized_and_of_all(tmp_path: Path) -> None:
    result = made_result(tmp_path, "some lost")
    assert result.localized == [k for k in range(12) if k not in (0, 3, 7)]
    metres_N, degrees_N = result.errors_of_all()
    for some, every in zip(result.errors(), (metres_N, degrees_N), strict=True):
        np.testing.assert_array_equal(some, every[result.localized])
    np.testing.assert_allclose(degrees_N, [1 + k % 4 for k in range(12)], atol=1e-6)
    assert metres_N[0] == pytest.approx(0.02)
    nowhere = replace(result.estimates[0], pose=None, localized=False, reason="non_finite_output")
    without = replace(result, estimates=[nowhere, *result.estimates[1:]])
    assert without.localized == result.localized
    with pytest.raises(ValueError, match="11 estimates for 12 ground-truth poses"):
        without.errors_of_all()
    with pytest.raises(ValueError, match=r"differ in number: \[11, 12\]"):
        replace(result, estimates=result.estimates[1:])


def test_an_estimate_in_another_scenes_map_is_none_in_this_one(tmp_path: Path) -> None:
    result = made_result(tmp_path, "two scenes")
    assert [k for k, e in enumerate(result.estimates) if e.reason == OTHER_SCENE] == [2, 5, 6]
    assert [k for k, pose in enumerate(result.localized_poses) if pose is None] == [1, 2, 5, 6]
    assert result.in_scene == 9 and result.to_dict()["scene_accuracy"] == 0.75


@pytest.fixture
def untrained(small_scene: Path, tmp_path: Path) -> Path:
    some = (read_image(image.path) for image in load_scene(small_scene).images[::6])
    return save_untrained(tmp_path / "model", some, Preprocessing(48, (32, 40)))


def test_the_command_prints_and_writes_what_the_library_returns(
    small_scene: Path, untrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    files = {name: tmp_path / name for name in ("figures.json", "predictions.csv", "report")}
    more = ["--json", "figures.json", "--predictions", "predictions.csv", "--report", "report"]
    there = ["--data", str(small_scene), "--device", "cpu", "--select", "all"]
    assert evaluate([str(untrained), *there, *(str(files.get(word, word)) for word in more)]) == 0
    printed = capsys.readouterr()
    result = evaluate_offline(Localizer(untrained, "cpu"), load_scene(small_scene), select="all")
    assert capsys.readouterr() == ("", "")  # a library prints nothing
    *figures, following = printed.out.splitlines(keepends=True)
    verdict = str(
        verdict_of(result, load_scene(small_scene), TrainingRecord.read(untrained, SceneModel.load(untrained)))
    )
    assert "".join(figures) == f"{result.table()}\nimage: {files['report'] / 'report.png'}\n{verdict}\n"
    assert verdict.startswith("verdict: ")
    assert following.startswith("next: ") and f"localize --model {untrained} IMAGE" in following
    assert "\r" not in printed.err, "a bar is redrawn where no terminal is"
    assert len(result.images) == len(result.localized) == 48 and result.select == "all"
    assert files["figures.json"].read_text() == json.dumps(result.to_dict(), indent=1) + "\n"
    again = tmp_path / "again.csv"
    write_predictions(again, [image.name for image in result.images], result.estimates)
    assert files["predictions.csv"].read_bytes() == again.read_bytes()
    # A training image retrieves itself; the others get the pose of one of those.
    metres_N, _ = pose_errors(result.baselines[RETRIEVAL], result.ground_truth)
    assert [metres == 0 for metres in metres_N] == [image.split == "train" for image in result.images]


def test_as_many_windows_as_asked_for(small_scene: Path, untrained: Path) -> None:
    localizer, scene = Localizer(untrained, "cpu"), load_scene(small_scene)
    plain = evaluate_offline(localizer, scene).errors()
    kept = localizer.scene_model.preprocessing
    localizer.scene_model.preprocessing = with_crops(localizer.scene_model, 4)
    assert (kept.crops, localizer.scene_model.preprocessing) == (1, replace(kept, crops=4))
    averaged = evaluate_offline(localizer, scene).errors()
    assert len(averaged[0]) == 24 and not np.allclose(averaged, plain, atol=1e-4)
    with pytest.raises(UserError, match="--crops 0: must be at least 1 window"):
        with_crops(localizer.scene_model, 0)
    with pytest.raises(UserError, match="knows the rays of the centre window alone; leave it out"):
        with_crops(SceneModel.load(DEMO), 2)


def test_each_of_several_scenes_has_a_result(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folders = [write_small_scene(tmp_path / name, frames=count) for name, count in (("desk", 6), ("shelf", 4))]
    data = [word for folder in folders for word in ("--data", f"7scenes:{folder}")]
    config = ["--config", str(ROOT / "config" / "train" / "multiscene_transformer.yaml")]
    narrow = [f"model.options.{key}=32" for key in ("width", "mlp_width", "head_width")]
    narrow += [f"model.options.{key}=1" for key in ("encoder_layers", "decoder_layers", "heads")]
    size = ["image.smaller_edge=34", "image.height=32", "image.width=40"]
    small = [*narrow, *size, "device=cpu", "epochs=1", "cache_dir=none"]
    assert train([*config, *data, "--out", str(tmp_path / "model"), *small]) == 0
    capsys.readouterr()
    assert evaluate([str(tmp_path / "model"), *data, "--device", "cpu", "--json", str(tmp_path / "j")]) == 0
    localizer = Localizer(tmp_path / "model", "cpu")
    results = {path.name: evaluate_offline(localizer, load_scene(f"7scenes:{path}")) for path in folders}
    printed = capsys.readouterr().out
    tables = "".join(f"{result.table()}\n" for result in results.values())
    assert printed.startswith(f"{tables}desk: verdict: ") and "\nshelf: verdict: " in printed.partition("next: ")[0]
    assert json.loads((tmp_path / "j").read_text()) == {name: result.to_dict() for name, result in results.items()}
    assert [result.mapped_scene.name for result in results.values()] == ["desk", "shelf"]
    for name, result in results.items():
        taken = [e.scene != name for e in result.estimates]
        assert [e.reason == OTHER_SCENE for e in result.estimates] == taken
        assert not any(result.estimates[index].scene != name for index in result.localized)
        assert f"scene found in {len(taken) - sum(taken)} of {len(taken)} frames" in result.table()
    attic: Scene = replace(load_scene(f"7scenes:{folders[0]}"), name="attic")
    with pytest.raises(UserError, match=r"scene 'attic' .* is not one of the model's, which are desk \+ shelf"):
        evaluate_offline(localizer, attic)


def test_images_are_read_as_the_model_learnt_them(small_scene: Path) -> None:
    lens = Intrinsics(80, 60, 60, 60, 40, 30, rectified=False, distortion_model="plumb_bob", distortion=(-0.3, 0, 0, 0))
    scene = replace(load_scene(small_scene), intrinsics=lens)
    image = scene.images[0]
    plain_HW3 = read_image(image.path)
    for rectified, expected_HW3 in ((True, Undistorter(lens)(plain_HW3)), (False, plain_HW3), (None, plain_HW3)):
        mapped = MappedScene("desk", "map", HELD_OUT, replace(lens, rectified=rectified))
        np.testing.assert_array_equal(image_reader(scene, mapped)(image), expected_HW3)
    assert (Undistorter(lens)(plain_HW3) != plain_HW3).any()
    np.testing.assert_array_equal(image_reader(scene, MappedScene("desk", "map", HELD_OUT))(image), plain_HW3)
