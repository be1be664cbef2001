"""Files and folders appear whole or not at all, and what they would replace outlives a failure."""

from pathlib import Path

import pytest

from transposenet_core.atomic_files import replace_folder, write_atomically, write_folder_atomically


def test_a_file_appears_whole(tmp_path: Path) -> None:
    with write_atomically(tmp_path / "new" / "a.txt") as temporary:
        temporary.write_text("whole")
        assert temporary.suffix == ".txt" and not (tmp_path / "new" / "a.txt").exists()
    assert (tmp_path / "new" / "a.txt").read_text() == "whole"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]


@pytest.mark.parametrize("write", [write_atomically, write_folder_atomically])
def test_after_an_error_the_old_one_is_there_and_nothing_else(tmp_path: Path, write: object) -> None:
    place = tmp_path / "place"
    with write(place) as temporary:
        (temporary / "old" if temporary.is_dir() else temporary).write_text("old")
    with pytest.raises(RuntimeError), write(place) as temporary:
        (temporary / "new" if temporary.is_dir() else temporary).write_text("half")
        raise RuntimeError
    assert (place / "old" if place.is_dir() else place).read_text() == "old"
    assert list(tmp_path.iterdir()) == [place]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    for content in ("first", "second"):
        with write_folder_atomically(tmp_path / "place") as temporary:
            (temporary / content).touch()
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [tmp_path / "place"]


def test_a_folder_that_cannot_get_its_name_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "old").touch()
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "absent", tmp_path / "place")
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["old"]
