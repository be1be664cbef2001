"""Presets by name: from the source tree, from an installation, and the error for an unknown name."""

import sys
from pathlib import Path

import pytest

from transposenet_core import presets, shared_files
from transposenet_core.errors import UserError
from transposenet_core.presets import preset_names, preset_path
from transposenet_core.training.config_reading import load_config

CONFIG = Path(__file__).resolve().parents[2] / "config" / "train"


def test_every_preset_has_a_name_and_can_be_read() -> None:
    assert preset_names() == sorted(path.stem for path in CONFIG.iterdir())
    for name in preset_names():
        assert preset_path(name) == preset_path(f"{name}.yaml") == CONFIG / f"{name}.yaml"
        assert load_config(preset_path(name)).model.name


def test_a_file_wins_and_a_folder_of_that_name_does_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "posenet").mkdir()
    assert preset_path("posenet") == CONFIG / "posenet.yaml"
    (tmp_path / "demo.yaml").write_text("epochs: 1\n")
    assert preset_path("demo.yaml") == Path("demo.yaml")
    assert preset_path("demo") == CONFIG / "demo.yaml"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("scene_coordinate", "did you mean 'scene_coordinates'? the presets are bayesian_posenet, "),
        ("confg/train/demo.yaml", "--config confg/train/demo.yaml: neither a file nor a preset; did you mean 'demo'?"),
        ("zzz", "neither a file nor a preset; the presets are bayesian_posenet, coarse_to_fine, "),
    ],
)
def test_an_unknown_preset_is_one_sentence(name: str, hint: str) -> None:
    with pytest.raises(UserError) as refused:
        preset_path(name)
    assert hint in str(refused.value) and "\n" not in str(refused.value)


def test_presets_of_an_installation_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "venv" / "lib" / "python3" / "site-packages" / "transposenet_core"
    monkeypatch.setattr(shared_files, "__file__", str(package / "shared_files.py"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "ros"))
    with pytest.raises(UserError, match="no presets: config/train is neither in the source tree nor in"):
        preset_names()
    share = Path("share") / "transposenet_ros" / presets.FOLDER
    for prefix in ("ros", "elsewhere", "venv"):  # from the least trusted place to the most
        (tmp_path / prefix / share).mkdir(parents=True)
        (tmp_path / prefix / share / f"{prefix}.yaml").write_text("epochs: 1\n")
        assert preset_names() == [prefix]
        assert preset_path(prefix) == tmp_path / prefix / share / f"{prefix}.yaml"
