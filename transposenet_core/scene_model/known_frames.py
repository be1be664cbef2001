"""The frames that a scene model was made from: trained on, validated on, and left out between the two."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from transposenet_core import checked
from transposenet_core.errors import UserError
from transposenet_core.geometry.pose import stack
from transposenet_core.scene import LEFT_OUT, Scene
from transposenet_core.tensor_header import Wanted

SPLITS = ("train", "val", LEFT_OUT)
MOST_FRAMES, MOST_NAME_BYTES = 2_000_000, 2**28
TEST_NAMES = "test_names"


@dataclass(frozen=True, eq=False)
class KnownFrames:
    """Frames by name, in the order of the data set: ``split_N`` (N,) numbers `SPLITS`; positions (N, 3) in the scene's
    units and orientations (N, 4) w x y z are ``T_map_camera`` as labelled, float64. ValueError where they do
    not fit together. A name is the image's path below the data set's root; '' where none is known. ``test_names`` are
    the frames that its split kept for the test: their names, so that the same are evaluated, and nothing else."""

    names: tuple[str, ...] = ()
    split_N: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint8))
    positions_N3: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    orientations_N4: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    test_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (*self.names, *self.test_names):
            checked.text("frames: a name", name)
        positions_N3, orientations_N4 = checked.poses("frames", self.positions_N3, self.orientations_N4)
        split_N = np.asarray(self.split_N, np.uint8)
        if len(self.test_names) > MOST_FRAMES:
            raise ValueError(f"frames: {len(self.test_names)} names of test frames, at most {MOST_FRAMES} are allowed")
        if not len(self.names) == len(split_N) == len(positions_N3) <= MOST_FRAMES:
            counts = f"{len(self.names)} names, {len(split_N)} splits, {len(positions_N3)} poses"
            raise ValueError(f"frames: {counts}, as many of each are needed, at most {MOST_FRAMES}")
        if split_N.size and split_N.max() >= len(SPLITS):
            raise ValueError(f"frames: split number {split_N.max()}, there are {len(SPLITS)}: {', '.join(SPLITS)}")
        for name, value in (("positions_N3", positions_N3), ("orientations_N4", orientations_N4), ("split_N", split_N)):
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, scene: Scene) -> KnownFrames:
        """Those of a scene as it is trained: of its test frames the model knows nothing but the names. UserError where
        one is not allowed in a scene model."""
        images = [image for image in scene.images if image.split in SPLITS]
        split_N = np.array([SPLITS.index(image.split) for image in images], np.uint8)
        tests = tuple(image.name for image in scene.images if image.split == "test")
        try:
            return cls(tuple(image.name for image in images), split_N, *stack([image.pose for image in images]), tests)
        except ValueError as error:
            raise UserError(f"scene {scene.name} ({scene.root}): {error}; rename that image or leave it out") from None

    @classmethod
    def trained_on(
        cls, positions_N3: np.ndarray, orientations_N4: np.ndarray, names: Sequence[str] = ()
    ) -> KnownFrames:
        """Only training frames; their names may be missing."""
        count = len(positions_N3)
        return cls(tuple(names) or ("",) * count, np.zeros(count, np.uint8), positions_N3, orientations_N4)

    def places(self, split: str) -> np.ndarray:
        """Which frames (M,) are of a split of `SPLITS`."""
        return np.flatnonzero(self.split_N == SPLITS.index(split))

    def names_of(self, split: str) -> list[str]:
        return [self.names[place] for place in self.places(split)]

    def counts(self) -> dict[str, int]:
        """How many frames of each split, for the description."""
        return {split: len(self.places(split)) for split in SPLITS}

    def tensors(self) -> dict[str, torch.Tensor]:
        """All of it, for a safetensors file; names are one JSON text in UTF-8."""
        names, test_names = (np.frombuffer(json.dumps(n).encode(), np.uint8) for n in (self.names, self.test_names))
        arrays = {"names": names, TEST_NAMES: test_names, "split_N": self.split_N}
        arrays |= {"positions_N3": self.positions_N3, "orientations_N4": self.orientations_N4}
        return {key: torch.from_numpy(value.copy()) for key, value in arrays.items()}

    @classmethod
    def read(cls, tensors: dict[str, torch.Tensor]) -> KnownFrames:
        """The inverse of `tensors`. KeyError or ValueError where something is missing or wrong."""
        split_N, *poses = (tensors[key].numpy() for key in ("split_N", "positions_N3", "orientations_N4"))
        names = _names(tensors["names"], len(split_N))
        tests = _names(tensors[TEST_NAMES]) if TEST_NAMES in tensors else ()  # older models have none
        return cls(names, split_N, poses[0], poses[1], tests)

    @staticmethod
    def shapes(count: int, with_tests: bool) -> dict[str, Wanted]:
        """The tensors of so many frames in a file, perhaps with the names of test frames."""
        names = Wanted(("U8",), (range(2, MOST_NAME_BYTES + 1),))
        poses = {"positions_N3": Wanted(("F64",), (count, 3)), "orientations_N4": Wanted(("F64",), (count, 4))}
        tests = {TEST_NAMES: names} if with_tests else {}
        return {"names": names, "split_N": Wanted(("U8",), (count,))} | poses | tests


def checked_counts(values: Any) -> dict[str, int]:
    """How many frames of each split a description promises. ValueError where that is none."""
    counts = checked.mapping("frames", values)
    if counts.keys() != set(SPLITS):
        raise ValueError(f"frames are {str(counts)[:80]} in the description, {', '.join(SPLITS)} are needed")
    return {split: checked.whole(f"frames.{split}", counts[split], 0, MOST_FRAMES) for split in SPLITS}


def _names(utf8_M: torch.Tensor, count: int | None = None) -> tuple[str, ...]:
    """The strings of a JSON list, `count` of them. ValueError where it is anything else, of which a parser of all of
    JSON might make millions of lists."""
    text = utf8_M.numpy().tobytes().decode()
    names: list[str] = []
    decoder = json.JSONDecoder()
    place = 0
    while len(names) <= MOST_FRAMES and text.startswith(', "' if names else '["', place):
        name, place = decoder.raw_decode(text, place + (2 if names else 1))
        names.append(name)
    if text[place:] != ("]" if names else "[]") or count not in (None, len(names)):
        raise ValueError(f"frames: not a list of {'at most 2 million' if count is None else count} names")
    return tuple(names)
