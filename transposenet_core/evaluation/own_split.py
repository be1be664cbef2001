"""The split that a scene model was trained with, for data that it knows: by the names and poses of its frames."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from transposenet_core.errors import UserError
from transposenet_core.evaluation.frame_origin import recognise
from transposenet_core.formats import accepted, inspect_scene, load_scene
from transposenet_core.formats.image_names import same_images
from transposenet_core.scene import LEFT_OUT, Scene
from transposenet_core.scene_model import KnownFrames, MappedScene
from transposenet_core.scene_model.known_frames import SPLITS


def load_as_trained(
    known: Sequence[MappedScene], data: str, skip_bad: bool = False
) -> tuple[Scene, MappedScene | None]:
    """The scene that `data` names, split as the one of the `known` scenes that it is, and that one; by its own split,
    and None, where none of them knows its images: another recording. UserError as of `load_scene`.

    The model's split is applied as a split file, which asks for no other images than training and test had, then to
    what the data set's own split uses.
    """
    for mapped in known if len(known) == 1 else _likely(known, data):
        if mapped.frames.test_names:
            with _split_file(mapped.frames) as path:
                try:
                    scene, faults = inspect_scene(data, path)
                except UserError:  # other names: another scene's
                    continue
            if not faults.refused and _knows(mapped, scene):
                return accepted(data, scene, faults, skip_bad), mapped
    scene = load_scene(data, None, skip_bad)
    for mapped in known:
        own = with_own_split(mapped, scene)
        if own is not None:
            return own, mapped
    return scene, None


def _likely(known: Sequence[MappedScene], data: str) -> Sequence[MappedScene]:
    """Those that know images of the data set's own split: loading it with the split of each one would take as many
    times longer. All, where it cannot be loaded so."""
    try:
        scene, _ = inspect_scene(data)
    except UserError:
        return known
    return [mapped for mapped in known if _knows(mapped, scene)]


def _knows(mapped: MappedScene, scene: Scene) -> bool:
    return bool(recognise(mapped, [i.name for i in scene.images], [i.pose for i in scene.images]).known)


@contextmanager
def _split_file(frames: KnownFrames) -> Iterator[Path]:
    """A split file of the frames that were trained on, validated on and kept for the test."""
    rows = [(split, name) for split in ("train", "val") for name in frames.names_of(split) if name]
    rows += [("test", name) for name in frames.test_names]
    with tempfile.TemporaryDirectory(prefix="transposenet_split_") as folder:
        path = Path(folder) / "split.csv"
        with open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("split", "image"), *rows])
        yield path


def with_own_split(mapped: MappedScene, scene: Scene) -> Scene | None:
    """The scene split as the model was trained; None where it knows none of the images: another recording.

    Frames that it knows nothing of are left out. Of a model without the names of its test frames (an older one) those
    of the data set's own split are taken.
    """
    names = [image.name for image in scene.images]
    known = recognise(mapped, names, [image.pose for image in scene.images]).known
    if not known:
        return None
    tests = same_images(names, mapped.frames.test_names)
    splits = [LEFT_OUT] * len(names)
    for index, image in enumerate(scene.images):
        if index in known:
            splits[index] = SPLITS[mapped.frames.split_N[known[index]]]
        elif index in tests or (not mapped.frames.test_names and image.split == "test"):
            splits[index] = "test"
    return replace(scene, images=[replace(i, split=split) for i, split in zip(scene.images, splits, strict=True)])
