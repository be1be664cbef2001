"""The check from end to end on files: bad images are listed at once, refused data end with 2, good data with 0."""

import json
import runpy
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_scene import write_small_scene
from training_runs import arguments, train

from transposenet_core.commands.check import verdict
from transposenet_core.dataset_check.check import check_dataset
from transposenet_core.dataset_check.quick import quick_check
from transposenet_core.errors import UserError
from transposenet_core.formats import inspect_scene, load_scene
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.training.data.pixels import load_pixels

ROOT = Path(__file__).resolve().parents[3]


check_main = runpy.run_path(str(ROOT / "training" / "check_dataset.py"))["main"]


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


Check = Callable[..., Done]


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Check:
    """check_dataset.py's own `main`, and what it printed."""

    def run(*arguments: object) -> Done:
        code = check_main([str(argument) for argument in arguments])
        return Done(code, *capsys.readouterr())

    return run


def frames(scene: Path, sequence: int = 1) -> list[Path]:
    return sorted((scene / f"seq-{sequence:02d}").glob("*.png"))


def found(scene: Path) -> list[str]:
    """The faults of the files in the small scene, each `file: what`, without the folder."""
    findings = check_dataset(f"7scenes:{scene}", motion=False, progress=False)
    return [str(fault).replace(f"{scene}/", "") for fault in findings.faults.refused]


def damage(scene: Path) -> list[str]:
    """One image of each kind that cannot be used; their names in the order of the sequence."""
    images = frames(scene)[:5]
    images[0].unlink()
    images[1].write_bytes(b"")
    images[2].write_text("<html>404</html>")
    images[3].write_bytes(images[3].read_bytes()[:-100])
    jpeg = cv2.imencode(".jpg", cv2.imread(str(images[4])))[1].tobytes()
    images[4].with_suffix(".jpg").write_bytes(jpeg[: len(jpeg) // 2])
    images[4].unlink()
    return [str(image.relative_to(scene)) for image in images]


def test_t01_every_bad_image_is_listed_at_once(small_scene: Path) -> None:
    split = small_scene / "split.csv"
    names = [str(p.relative_to(small_scene)) for p in frames(small_scene)]
    split.write_text("split,image\n" + "".join(f"train,{name}\n" for name in names))
    missing, empty, page, png, jpeg = damage(small_scene)
    findings = check_dataset(f"7scenes:{small_scene}", split, motion=False, progress=False)
    text = [str(fault).replace(f"{small_scene}/", "") for fault in findings.faults.refused]
    assert len(text) == 5 and len(findings.scene.images) == 19
    for name, words in ((missing, "missing"), (empty, "empty (0 bytes)"), (page, "16 bytes that are neither JPEG")):
        assert any(fault.startswith(name) and words in fault for fault in text), (name, text)
    assert any(fault.startswith(png) and "a PNG that is cut off" in fault for fault in text)
    assert any(fault.startswith(jpeg.replace(".png", ".jpg")) and "a JPEG that is cut off" in fault for fault in text)


def test_t01_an_image_damaged_in_the_middle_is_found_by_decoding(small_scene: Path) -> None:
    image = frames(small_scene)[3]
    data = bytearray(image.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300] = bytes(300)
    image.write_bytes(bytes(data))
    assert len(text := found(small_scene)) == 1 and "frame-000003" in text[0] and "OpenCV cannot decode" in text[0]


def test_t01_skip_bad_counts_up_to_a_twentieth_and_refuses_more(small_scene: Path) -> None:
    data = f"7scenes:{small_scene}"
    frames(small_scene)[0].write_text("nothing")
    one_bad = check_dataset(data, motion=False, progress=False)
    with pytest.raises(UserError, match="refused for 1 faults, 47 images are good; .* --skip-bad"):
        verdict(one_bad, data, skip_bad=False)
    assert verdict(one_bad, data, skip_bad=True) == "good: 47 usable images, 1 faults left out"
    for image in frames(small_scene)[1:3]:
        image.write_text("nothing")
    with pytest.raises(UserError, match="more than 5% of them: fix the data"):
        verdict(check_dataset(data, motion=False, progress=False), data, skip_bad=True)


def test_the_card_is_printed_and_written_and_an_image_drawn(check: Check, small_scene: Path, tmp_path: Path) -> None:
    done = check(f"7scenes:{small_scene}", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "desk, 48 images" in done.stdout and "train 24  val 0  test 24" in done.stdout
    written = json.loads((tmp_path / "out" / "card.json").read_text())
    assert written["card"]["frames"] == {"train": 24, "val": 0, "test": 24} and written["refused"] == []
    assert written["card"]["image_counts"]["sizes"] == {"80x60": 48}
    overview = cv2.imread(str(tmp_path / "out" / "overview.png"))
    assert overview.shape[0] >= 1000 and overview.shape[1] == 1700
    # Splits have colours of their own (BGR of train and test), and the scene's own images stand on the right.
    for colour in ((0xB0, 0x86, 0x4C), (0x5B, 0x49, 0xD1)):
        assert (np.abs(overview.astype(int) - colour).max(axis=2) < 8).sum() > 500
    assert overview[100:900, 900:1650].std() > 40


def test_duplicate_frozen_blurred_and_dark_images_are_remarked_on(small_scene: Path) -> None:
    images = frames(small_scene)
    shutil.copyfile(images[2], frames(small_scene, 2)[2])
    frozen = cv2.imread(str(images[5]))
    frozen[0, 0] ^= 1
    cv2.imwrite(str(images[6]), frozen)
    cv2.imwrite(str(images[9]), cv2.GaussianBlur(cv2.imread(str(images[9])), (0, 0), 6))
    cv2.imwrite(str(images[12]), cv2.imread(str(images[12])) // 30)
    cv2.imwrite(str(images[15]), np.minimum(cv2.imread(str(images[15])).astype(int) + 200, 255).astype(np.uint8))
    findings = check_dataset(f"7scenes:{small_scene}", motion=False, progress=False)
    text = {fault.where: fault.what for fault in findings.faults.remarks}
    assert "the same file as seq-01/frame-000002.color.png, which is in train" in text["seq-02/frame-000002.color.png"]
    assert "looks like seq-01/frame-000005" in text["seq-01/frame-000006.color.png"]
    assert "blurred" in text["seq-01/frame-000009.color.png"]
    assert "too dark" in text["seq-01/frame-000012.color.png"] and "too bright" in text["seq-01/frame-000015.color.png"]
    counts = findings.card.image_counts
    assert (counts.duplicates, counts.frozen, counts.badly_exposed) == (1, 1, 2) and not findings.faults.refused


def test_t22_images_of_another_aspect_ratio_are_refused_by_check_and_training(small_scene: Path) -> None:
    """The first one, which hides neither the camera nor the size of the others; one that is larger is fine."""
    image, larger = frames(small_scene)[0], frames(small_scene)[4]
    cv2.imwrite(str(image), cv2.rotate(cv2.imread(str(image)), cv2.ROTATE_90_CLOCKWISE))
    cv2.imwrite(str(larger), cv2.resize(cv2.imread(str(larger)), (161, 120)))
    what = "60x80 pixels, most images have 80x60: width and height are exchanged; one aspect ratio is needed"
    assert found(small_scene) == [f"seq-01/frame-000000.color.png: {what}"]
    data = f"7scenes:{small_scene}"
    scene = load_scene(data)
    assert (scene.intrinsics.width, scene.intrinsics.height) == (80, 60)
    with pytest.raises(UserError, match="frame-000000.color.png: 60x80 pixels, most images have 80x60: width and"):
        quick_check(data, scene)
    kept = quick_check(data, scene, skip_bad=True)
    assert len(kept.images) == len(scene.images) - 1
    pixels = load_pixels(kept.select("train"), Preprocessing(60, (48, 64)), camera=kept.intrinsics)
    assert pixels.image_N3HW.shape == (23, 3, 60, 80)
    with pytest.raises(UserError, match="frame-000000.color.png: 60x80 pixels, .* all images of a scene need one asp"):
        load_pixels(scene.select("train")[::-1], Preprocessing(60, (48, 64)))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda T: np.diag([1.0, 1, -1, 1]) @ T, "determinant"),
        (lambda T: T * np.nan, "not finite"),
        (lambda T: T[:3], "numbers, there must be 16"),
    ],
)
def test_t02_a_matrix_that_is_no_pose_names_its_file(small_scene: Path, fault: object, words: str) -> None:
    assert callable(fault)
    for index in (3, 7):
        path = small_scene / "seq-01" / f"frame-{index:06d}.pose.txt"
        np.savetxt(path, fault(np.loadtxt(path)))
    text = found(small_scene)
    assert len(text) == 2 and all(words in text for text in text), text
    assert "frame-000003.pose.txt" in text[0] and "frame-000007.pose.txt" in text[1]


def test_t02_training_is_refused_before_epoch_one_and_goes_on_where_the_user_has_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = write_small_scene(tmp_path / "desk")
    path = scene / "seq-01" / "frame-000007.pose.txt"
    T = np.loadtxt(path)
    T[0, 3] += 40
    np.savetxt(path, T)
    whole = frames(scene)[9].read_bytes()
    frames(scene)[9].write_bytes(whole[:-100])
    command = arguments(scene, tmp_path / "model", "epochs=1")
    assert train(command) == 2
    text = capsys.readouterr().err
    assert text.count("error:") == 1 and "frame-000007" in text and "frame-000009" in text
    assert not (tmp_path / "model").exists()
    loaded = load_scene(f"7scenes:{scene}")
    with pytest.raises(UserError, match=r"^desk: 2 faults and 46 good images: "):
        quick_check("desk", loaded)
    assert len(quick_check("desk", loaded, skip_bad=True).images) == 46
    frames(scene)[9].write_bytes(whole)
    assert train([*command, "--no-check"]) == 0


def test_t10_a_scene_of_twelve_images_is_checked(check: Check, data_folder: Path, tmp_path: Path) -> None:
    done = check(f"7scenes:{data_folder / '7scenes' / 'stairs'}", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "stairs, 12 images" in done.stdout and "images are few" in done.stdout


def test_labels_without_images_are_checked_and_all_faults_printed(
    check: Check, data_folder: Path, tmp_path: Path
) -> None:
    labels = data_folder / "labels" / "CambridgeLandmarks" / "abs_cambridge_pose_sorted.csv_StMarysChurch_train.csv"
    options = ("--format", "labels-csv", "--data", labels, "--labels-only", "--out", tmp_path / "out")
    short, whole = check(*options), check(*options, "--all")
    assert (short.returncode, whole.returncode) == (2, 2)
    assert short.stdout.count("a quaternion of length") == 5 and "and 2 more like these" in short.stdout
    assert whole.stdout.count("a quaternion of length") == 7
    assert "refused for 7 faults, 2010 images are good" in short.stderr
    assert len(json.loads((tmp_path / "out" / "card.json").read_text())["refused"]) == 7
    assert (tmp_path / "out" / "overview.png").stat().st_size > 20_000


def test_redkitchen_is_good_and_its_corrected_rotations_are_reported(data_folder: Path) -> None:
    split = data_folder / "splits" / "redkitchen_b50_fold3.csv"
    data = f"7scenes:{data_folder / '7scenes' / 'redkitchen'}"
    findings = check_dataset(data, split, motion=False, progress=False)
    assert not findings.faults.refused and findings.card.image_counts.unreadable == 0
    assert any("910 rotation blocks were not orthonormal" in fault.what for fault in findings.faults.remarks)
    # The kitchen's map is that of a camera that looked down: test_card.py compares it with the depth images.
    np.testing.assert_allclose(findings.vertical.up_3, [-0.01, -0.89, -0.46], atol=0.03)


@pytest.mark.parametrize("wrong", [["x", "--data", "y"], []])
def test_a_data_set_is_named_once(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        check_main(wrong)
    assert ended.value.code == 2 and "name the data set once" in capsys.readouterr().err


def test_every_row_bad_is_one_sentence(check: Check, small_scene: Path, tmp_path: Path) -> None:
    for image in small_scene.glob("*/*.pose.txt"):
        image.write_text("lost\n")
    scene, faults = inspect_scene(f"7scenes:{small_scene}")
    assert not scene.images and len(faults.refused) == 48
    done = check(f"7scenes:{small_scene}", "--out", tmp_path / "out")
    assert done.returncode == 2 and "Traceback" not in done.stderr and "48 faults, 0 images are good" in done.stderr
