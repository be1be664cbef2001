"""What formats with a table of labels share: rows are collected, chosen by the split, and become posed images."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from transposenet_core.errors import UserError
from transposenet_core.formats.faults import REPEATED, Faults
from transposenet_core.formats.numbers import number_of
from transposenet_core.formats.rows import PoseReader, below
from transposenet_core.formats.split_files import read_split_file
from transposenet_core.image_files import find_image, image_stem, posix_name
from transposenet_core.scene import SPLITS, PosedImage

LABELS_ONLY = "labels_only"
MISSING, SKIP = "missing", "skip"
MISSING_MEANING = "skip: leave out the images that are named and absent, however many; default: they are refused"
LABELS_ONLY_MEANING = "yes: check the labels alone, without the images (transposenet check)"
IMAGES_MEANING = (
    "the folder that the images' names start from, relative to the folder where the command runs; default: the folder "
    "of the labels"
)


@dataclass(frozen=True)
class Row:
    """A line of a label file: an image's name, its split, the place of the line, and its numbers as text.

    `rest` is whatever else it has, which a line that repeats it has as well.
    """

    name: str
    split: str
    where: str
    numbers: Sequence[str]
    rest: str = ""


def by_name(rows: Iterable[Row], faults: Faults) -> dict[str, Row]:
    """The rows by their image's name in normal form; of two rows of one image the first is kept and the second a fault.

    Rows that are there twice, letter by letter, are harmless: a remark counts them.
    """
    known: dict[str, Row] = {}
    repeated: list[Row] = []
    for row in rows:
        name = posix_name(row.name)
        if not below(name):
            what = f"the image {row.name} is not below the folder of the images"
            faults.refuse(row.where, f"{what}; only the format posenet_txt allows a leading /")
        elif name not in known:
            known[name] = row
        elif replace(row, where="") == replace(known[name], where=""):
            repeated.append(row)
        else:
            faults.refuse(row.where, f"{row.name} is already in {known[name].where}")
    if repeated:
        faults.remark(repeated[0].where, f"{REPEATED.format(len(repeated))}, this is the first")
    return known


def chosen_splits(root: Path, split_file: Path, known: Collection[str], labels: str, faults: Faults) -> dict[str, str]:
    """The split file's choice by the names that the labels have; its names start at `root` or at its parent.

    They are found as :func:`known_names` finds them. A name without a row is a fault; UserError
    where no name has one, because the split is then of another scene.
    """
    folder = f"{root.resolve().name}/"
    find = known_names(known)
    chosen: dict[str, str] = {}
    absent = []
    for name, split in read_split_file(split_file).items():
        here = find(name) or find(posix_name(name).removeprefix(folder))
        if here is None:
            absent.append(name)
        else:
            chosen[here] = split
    if not chosen:
        raise UserError(f"{root}: the split file {split_file} names {absent[0]}, which has no row in {labels}")
    for name in absent:
        faults.refuse(split_file, f"the split names {name}, which has no row in {labels}")
    return chosen


def known_names(known: Collection[str]) -> Callable[[str], str | None]:
    """Which of the names `known` a text means: with slashes, and PNG and JPEG as one, for lists outlive conversions."""
    by_stem = {image_stem(name): name for name in known}

    def find(text: str) -> str | None:
        name = posix_name(text)
        return name if name in known else by_stem.get(image_stem(name))

    return find


def images_folder(options: dict[str, str], default: Path) -> Path:
    """The folder of the option `images`, or `default`. UserError where it does not exist and images are needed."""
    if "images" not in options:
        return default
    folder = Path(options["images"]).expanduser()
    if not folder.is_dir() and not is_labels_only(options):
        raise UserError(
            f"images={options['images']}: there is no folder {folder.absolute()}; a relative path starts from the "
            "folder where the command runs: name another folder, or write the whole path"
        )
    return folder


class ImageFiles:
    """Where the images of a data set are: missing and empty ones are faults (fault matrix, T1)."""

    def __init__(self, folder: Path, faults: Faults, labels_only: bool = False) -> None:
        self.folder, self.faults, self.labels_only = folder, faults, labels_only

    def find(self, name: str, where: object, text: str = "") -> Path | None:
        """The image's file, PNG or JPEG, whatever the suffix of `name`; None, and a fault, where there is none.

        `text` is the name as `where` has it.
        """
        if self.labels_only:
            return self.folder / name
        path = find_image(self.folder / name)
        if path is None:
            written = f" as '{text}'" if "\\" in text else ""
            self.faults.miss(self.folder / name, f"the image is missing, but {where} names it{written}")
        elif path.stat().st_size == 0:
            self.faults.refuse(path, "the image is empty (0 bytes)")
            path = None
        return path


def posed_images(
    rows: dict[str, Row],
    splits: dict[str, str],
    image_files: ImageFiles,
    reader: PoseReader,
    convention: str,
    rate_hz: float,
) -> list[PosedImage]:
    """The chosen rows (x y z qw qx qy qz, in `convention`) as images in the order of their numbers.

    The formats have no time: the number in an image's name counts frames at `rate_hz`.
    """
    images, sequences = [], _sequences(rows)
    for name, split in splits.items():
        row = rows[name]
        pose = reader.from_quaternion(row.where, row.numbers, convention)
        path = image_files.find(name, row.where, row.name)
        if pose is not None and path is not None:
            number = _clip_and_number(name)[1]
            images.append(PosedImage(name, path, pose, split, sequences[name], number / rate_hz))
    return sorted(images, key=time_order)


def _sequences(names: Collection[str]) -> dict[str, str]:
    """Image -> its folder's name, with the clip's where a folder has several numbered from 0 (Cambridge's Street)."""
    clips: dict[PurePosixPath, set[str]] = {}
    for name in names:
        clips.setdefault(PurePosixPath(name).parent, set()).add(_clip_and_number(name)[0])
    sequences = {}
    for name in names:
        folder, clip = PurePosixPath(name).parent, _clip_and_number(name)[0]
        sequences[name] = folder.name if len(clips[folder]) == 1 else f"{folder.name}/{clip.rstrip('_-')}"
    return sequences


def _clip_and_number(name: str) -> tuple[str, int]:
    match = re.match(r"(.*?)(\d+)\D*$", image_stem(PurePosixPath(name).name))
    return (match.group(1), number_of(match.group(2))) if match else ("", 0)


def time_order(image: PosedImage) -> list[tuple[int, str]]:
    """Sequence and frame numbers compared as numbers: seq2 before seq10."""
    return natural_order(image.name)


def natural_order(name: str) -> list[tuple[int, str]]:
    return [(number_of(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def files_of_splits(path: Path) -> dict[Path, str | None]:
    """A label file NAME_train.EXT with the NAME_val.EXT and NAME_test.EXT beside it, and their splits.

    A file without a split in its name is alone, with None.
    """
    for split in SPLITS:
        if path.stem.endswith(f"_{split}"):
            stem = path.stem.removesuffix(split)
            files = {path.with_name(f"{stem}{other}{path.suffix}"): other for other in SPLITS}
            return {file: other for file, other in files.items() if file.is_file()}
    return {path: None}


def is_labels_only(options: dict[str, str]) -> bool:
    return options.get(LABELS_ONLY) == "yes"
