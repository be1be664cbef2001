"""Frames that a model was trained on, data of another scene or in another map: said at the head of what is printed."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from untrained import HELD_OUT, save_untrained, with_scene

from transposenet_core.errors import UserError
from transposenet_core.evaluation import own_split
from transposenet_core.evaluation.frame_origin import origin_in, recognise
from transposenet_core.evaluation.own_split import load_as_trained, with_own_split
from transposenet_core.formats import inspect_scene, load_scene
from transposenet_core.formats.folder_writing import write_folder_dataset
from transposenet_core.geometry.pose import Pose, stack
from transposenet_core.geometry.similarity import Similarity
from transposenet_core.image_files import read_image
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene import LEFT_OUT, Scene
from transposenet_core.scene_model import KnownFrames, MappedScene, SceneModel
from transposenet_core.scene_units import moved

ROOT = Path(__file__).resolve().parents[3]
evaluate = runpy.run_path(str(ROOT / "training" / "evaluate.py"))["main"]
SPLITS = ["train"] * 12 + [LEFT_OUT] * 2 + ["val"] * 6 + [LEFT_OUT] * 2 + ["test"] * 12 + [""] * 14


def trained(scene: Scene) -> Scene:
    """The 48 frames as a split of one's own has them: the last 14 are not used."""
    pairs = zip(scene.images, SPLITS, strict=True)
    return replace(scene, images=[replace(image, split=split) for image, split in pairs if split])


def mapped_of(scene: Scene) -> MappedScene:
    return MappedScene(scene.name, "map", HELD_OUT, frames=KnownFrames.of(trained(scene)), units=scene.units)


def test_e10_frames_that_were_trained_on_are_counted(small_scene: Path) -> None:
    scene = load_scene(small_scene)
    found = origin_in(mapped_of(scene), scene, "all")
    assert (found.frames, found.trained_on, found.validated_on, found.left_out) == (48, 12, 6, 4)
    trained_on, validated_on = found.warnings()
    assert trained_on.startswith("12 of 48 evaluated frames (25%) were trained on: errors on them do not hold for new")
    assert validated_on.startswith("6 of 48 evaluated frames (12%) were validated on")
    assert found.to_dict()["share_trained_on"] == 0.25
    own = trained(scene)
    for select, expected in (("test", []), ("val", [])):
        assert origin_in(mapped_of(scene), own, select).warnings(select) == expected


def test_e10_the_models_own_split_is_that_of_its_training(small_scene: Path) -> None:
    scene = load_scene(small_scene)
    own = with_own_split(mapped_of(scene), scene)
    assert own is not None and [image.split for image in own.images] == [split or LEFT_OUT for split in SPLITS]
    # Below another folder and as JPEG the frames are the same; in another recording with the same names they are not.
    renamed = replace(scene, images=[replace(i, name=f"x/{i.name}".replace(".png", ".jpg")) for i in scene.images])
    assert with_own_split(mapped_of(scene), renamed) is not None
    other = replace(scene, images=[replace(i, pose=scene.images[-1 - k].pose) for k, i in enumerate(scene.images)])
    assert recognise(mapped_of(scene), [i.name for i in other.images], [i.pose for i in other.images]).known == {}
    assert with_own_split(mapped_of(scene), other) is None
    # An older model knows no names of test frames: the data set's own split says which of the others they are.
    older = mapped_of(scene)
    older.frames = replace(older.frames, test_names=())
    own = with_own_split(older, scene)
    assert own is not None and [image.split for image in own.images[22:]] == [LEFT_OUT] * 2 + ["test"] * 24


def test_e10_images_that_the_split_does_not_use_may_be_missing(small_scene: Path, tmp_path: Path) -> None:
    """As in data that were published with a split file and without a quarter of their images."""
    scene = load_scene(small_scene)
    write_folder_dataset(tmp_path / "copy", scene)
    for image in scene.images[-14:]:
        (tmp_path / "copy" / image.name).unlink()
    data = f"folder:{tmp_path / 'copy'}"
    with pytest.raises(UserError, match="14 faults"):
        load_scene(data)
    found, known = load_as_trained([mapped_of(scene)], data)
    assert known is not None and [image.split for image in found.images] == [
        s for s in SPLITS if s not in ("", LEFT_OUT)
    ]
    stranger = replace(mapped_of(scene), frames=KnownFrames.trained_on(*stack([scene.images[0].pose]), ["x.png"]))
    assert load_as_trained([stranger], f"7scenes:{small_scene}")[1] is None


def test_e10_a_model_of_many_scenes_loads_the_data_twice(small_scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, loaded = load_scene(small_scene), []
    stranger = replace(mapped_of(scene), frames=KnownFrames.trained_on(*stack([scene.images[0].pose]), ["x.png"]))
    stranger.frames = replace(stranger.frames, test_names=("y.png",))
    monkeypatch.setattr(own_split, "inspect_scene", lambda *args: loaded.append(args) or inspect_scene(*args))
    _, known = load_as_trained([*[stranger] * 5, mine := mapped_of(scene)], f"7scenes:{small_scene}")
    assert known is mine and len(loaded) == 2


def test_e10_data_of_another_scene_or_in_another_map_are_reported(small_scene: Path) -> None:
    scene = load_scene(small_scene)
    attic = replace(scene, name="attic", images=[replace(i, name=f"a{i.name}") for i in scene.images])
    (another,) = origin_in(mapped_of(scene), attic, "all").warnings()
    assert "the data are of 'attic' and none of them is among the 22 frames" in another and "--name" in another
    assert (
        origin_in(mapped_of(scene), replace(attic, name="desk"), "all").warnings() == []
    )  # another drive, by the user's word
    far = moved(replace(attic, name="desk", units="arbitrary"), Similarity(1, Pose([90, 0, 0], [1, 0, 0, 0])))
    (away,) = origin_in(mapped_of(scene), far, "all").warnings()
    assert "from the nearest training position" in away and "another place, or another map frame?" in away
    larger = moved(replace(scene, units="arbitrary"), Similarity(2.0, Pose([1, 2, 3], [0.6, 0, 0.8, 0])))
    first = origin_in(mapped_of(larger), scene, "all").warnings()[0]
    assert "those of the training in another map or unit (times 2, moved by 3.74 m and 106 deg)" in first
    (units,) = origin_in(mapped_of(scene), replace(trained(scene), units="arbitrary"), "test").warnings()
    assert "the data are in arbitrary units and the model's scene in metres" in units


def test_known_frames_keep_the_names_of_test_frames_and_nothing_else_of_them(small_scene: Path) -> None:
    known = KnownFrames.of(trained(load_scene(small_scene)))
    read = KnownFrames.read(known.tensors())
    assert len(read.names) == len(read.positions_N3) == 22
    assert read.test_names == known.test_names and len(known.test_names) == 12
    old = {key: value for key, value in known.tensors().items() if key != "test_names"}
    assert KnownFrames.read(old).test_names == ()
    with pytest.raises(ValueError, match="not a list of at most 2 million names"):
        KnownFrames.read(old | {"test_names": known.tensors()["names"].new_tensor(list(b"[3]"))})


@pytest.fixture
def model(small_scene: Path, tmp_path: Path) -> Path:
    scene = load_scene(small_scene)
    folder = save_untrained(
        tmp_path / "model", (read_image(i.path) for i in scene.images[::6]), Preprocessing(48, (32, 40)), name="desk"
    )
    with_scene(SceneModel.load(folder), frames=KnownFrames.of(trained(scene))).save(folder)
    return folder


def test_e10_the_command_warns_at_the_head_of_table_figure_and_json(
    model: Path, small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    titles: list[str] = []
    suptitle = Figure.suptitle
    monkeypatch.setattr(Figure, "suptitle", lambda self, t, **more: titles.append(t) or suptitle(self, t, **more))
    data = [str(model), "--data", str(small_scene), "--device", "cpu", "--json", str(tmp_path / "figures.json")]
    assert evaluate(data) == 0  # the model's own split
    printed = capsys.readouterr()
    assert "desk: split as the model was trained: 12 train, 6 val, 12 test" in printed.err
    assert "localized 12 of 12 frames" in printed.out and "WARN" not in printed.out
    assert json.loads((tmp_path / "figures.json").read_text())["evaluated_frames"]["trained_on"] == 0
    split = tmp_path / "split.csv"
    names = [image.name for image in load_scene(small_scene).images]
    split.write_text("split,image\n" + "".join(f"{'test' if k < 16 else 'train'},{n}\n" for k, n in enumerate(names)))
    assert evaluate([*data, "--split", str(split), "--report", str(tmp_path / "report")]) == 0
    warning = "WARN 12 of 16 evaluated frames (75%) were trained on"
    assert capsys.readouterr().out.splitlines()[0].startswith(warning)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert next(iter(figures)) == "warnings" and figures["warnings"][0].startswith(warning.removeprefix("WARN "))
    assert figures["evaluated_frames"]["share_trained_on"] == 0.75
    assert titles[-1].splitlines()[1].startswith(warning)


def test_e10_a_model_without_a_test_split_says_how_to_get_one(
    model: Path, small_scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = [replace(image, split="train") for image in load_scene(small_scene).images]
    known = KnownFrames.of(replace(load_scene(small_scene), images=everything))
    with_scene(SceneModel.load(model), frames=known).save(model)
    assert evaluate([str(model), "--data", str(small_scene), "--device", "cpu"]) == 2
    assert "trained without a test split (48 train, 0 val, 0 test)" in capsys.readouterr().err


def test_t25_arbitrary_units_have_no_recalls_in_metres(
    model: Path, small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_scene(SceneModel.load(model), units="arbitrary").save(model)
    data = [str(model), "--data", str(small_scene), "--device", "cpu", "--json", str(tmp_path / "figures.json")]
    assert evaluate(data) == 0
    table = capsys.readouterr().out.partition("next:")[0]
    assert "5cm" not in table and " m " not in table and "units" in table
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["units"] == "arbitrary" and not any(key.startswith("recall") for key in figures["transposenet"])
