"""A last training on all frames, and the validation error of its scene model."""

from pathlib import Path

import pytest
from training_runs import arguments, train
from untrained import with_scene

from transposenet_core.formats import load_scene
from transposenet_core.scene_model import SceneModel

LAST = ("hold_out=false", "epochs=1")


@pytest.fixture
def split(small_scene: Path, tmp_path: Path) -> Path:
    """The small scene with every fourth training frame as `val`."""
    images = load_scene(f"7scenes:{small_scene}").images
    names = [
        f"{'val' if i % 4 == 3 and each.split == 'train' else each.split},{each.name}" for i, each in enumerate(images)
    ]
    path = tmp_path / "split.csv"
    path.write_text("\n".join(["split,image", *names]) + "\n")
    return path


@pytest.fixture
def first(small_scene: Path, split: Path, tmp_path: Path) -> Path:
    """A model that was validated on held-out frames."""
    out = tmp_path / "first"
    assert train(arguments(small_scene, out, "--split", str(split), "epochs=1")) == 0
    return out


def test_the_error_on_frames_that_were_held_out_before_is_inherited(
    small_scene: Path, first: Path, tmp_path: Path
) -> None:
    assert train(arguments(small_scene, tmp_path / "last", *LAST, f"held_out_error={first}")) == 0
    before, stated = (SceneModel.load(path).scenes[0].held_out_error for path in (first, tmp_path / "last"))
    assert stated.source == f"{before.source}, by the model of an earlier training" and "held-out" in before.source
    assert (stated.position_std, stated.rotation_std) == (before.position_std, before.rotation_std)
    assert train(arguments(small_scene, tmp_path / "own", *LAST)) == 0
    own = SceneModel.load(tmp_path / "own").scenes[0].held_out_error
    assert own.position_std != before.position_std and "none were held out" in own.source


def test_t11_an_error_that_cannot_be_inherited_is_one_sentence(
    small_scene: Path, split: Path, first: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    def sentence(*more: str) -> str:
        assert train(arguments(small_scene, tmp_path / "out", *LAST, *more)) == 2
        return capsys.readouterr().err.strip().splitlines()[-1]

    text = sentence("--split", str(split), f"held_out_error={first}")
    assert "but 6 frames are held out here, which give the error; leave it out" in text
    model = SceneModel.load(first)
    with_scene(model, name="attic").save(tmp_path / "attic")
    text = sentence(f"held_out_error={tmp_path / 'attic'}")
    assert "a model of attic, but 'desk' is trained here; give one of the same scene" in text
    assert train(arguments(small_scene, tmp_path / "all", *LAST)) == 0
    assert "was validated on the training frames" in sentence(f"held_out_error={tmp_path / 'all'}")
    assert "absent: no such folder" in sentence(f"held_out_error={tmp_path / 'absent'}")
