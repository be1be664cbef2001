"""The frames that a scene model was made from: trained on, validated on, and left out between the two."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from transposenet_core import checked
from transposenet_core.geometry.pose import stack
from transposenet_core.scene import LEFT_OUT, Scene
from transposenet_core.tensor_header import Wanted

SPLITS = ("train", "val", LEFT_OUT)
MOST_FRAMES, MOST_NAME_BYTES = 2_000_000, 2**28


@dataclass(frozen=True, eq=False)
class KnownFrames:
    """Frames by name, in the order of the data set: ``split_N`` (N,) numbers `SPLITS`; positions (N, 3) in the scene's
    units and orientations (N, 4) w x y z are ``T_map_camera`` as labelled, float64. ValueError where they are
    inconsistent. A name is the image's path below the data set's root; '' where none is known."""

    names: tuple[str, ...] = ()
    split_N: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint8))
    positions_N3: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    orientations_N4: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))

    def __post_init__(self) -> None:
        positions_N3, orientations_N4 = checked.poses("frames", self.positions_N3, self.orientations_N4)
        split_N = np.asarray(self.split_N, np.uint8)
        if not len(self.names) == len(split_N) == len(positions_N3) <= MOST_FRAMES:
            counts = f"{len(self.names)} names, {len(split_N)} splits, {len(positions_N3)} poses"
            raise ValueError(f"frames: {counts}, as many of each are needed, at most {MOST_FRAMES}")
        if split_N.size and split_N.max() >= len(SPLITS):
            raise ValueError(f"frames: split number {split_N.max()}, there are {len(SPLITS)}: {', '.join(SPLITS)}")
        for name, value in (("positions_N3", positions_N3), ("orientations_N4", orientations_N4), ("split_N", split_N)):
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, scene: Scene) -> KnownFrames:
        """Those of a scene in training: its test frames are not known to the model."""
        images = [image for image in scene.images if image.split in SPLITS]
        split_N = np.array([SPLITS.index(image.split) for image in images], np.uint8)
        return cls(tuple(image.name for image in images), split_N, *stack([image.pose for image in images]))

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
        names = np.frombuffer(json.dumps(self.names).encode(), np.uint8)
        arrays = {"names": names, "split_N": self.split_N}
        arrays |= {"positions_N3": self.positions_N3, "orientations_N4": self.orientations_N4}
        return {key: torch.from_numpy(value.copy()) for key, value in arrays.items()}

    @classmethod
    def read(cls, tensors: dict[str, torch.Tensor]) -> KnownFrames:
        """The inverse of `tensors`. KeyError or ValueError where something is missing or wrong."""
        arrays = [tensors[key].numpy() for key in ("split_N", "positions_N3", "orientations_N4")]
        return cls(_names(tensors["names"].numpy().tobytes().decode(), len(arrays[0])), *arrays)

    @staticmethod
    def shapes(count: int) -> dict[str, Wanted]:
        """The tensors of so many frames in a file."""
        names = Wanted(("U8",), (range(2, MOST_NAME_BYTES + 1),))
        poses = {"positions_N3": Wanted(("F64",), (count, 3)), "orientations_N4": Wanted(("F64",), (count, 4))}
        return {"names": names, "split_N": Wanted(("U8",), (count,))} | poses


def checked_counts(values: Any) -> dict[str, int]:
    """How many frames of each split a description promises. ValueError where that is none."""
    counts = checked.mapping("frames", values)
    if counts.keys() != set(SPLITS):
        raise ValueError(f"frames are {str(counts)[:80]} in the description, {', '.join(SPLITS)} are needed")
    return {split: checked.whole(f"frames.{split}", counts[split], 0, MOST_FRAMES) for split in SPLITS}


def _names(text: str, count: int) -> tuple[str, ...]:
    """The strings of a JSON list of `count` of them. ValueError where it is anything else, of which a parser of all of
    JSON might make millions of lists."""
    names: list[str] = []
    decoder = json.JSONDecoder()
    place = 0
    for number in range(count):
        begin = ', "' if number else '["'
        if not text.startswith(begin, place):
            raise ValueError(f"frames: no list of {count} names")
        name, place = decoder.raw_decode(text, place + len(begin) - 1)
        if len(name) > checked.LONGEST_TEXT:
            raise ValueError(f"frames: a name of {len(name)} characters, at most {checked.LONGEST_TEXT} are allowed")
        names.append(name)
    if text[place:] != ("]" if count else "[]"):
        raise ValueError(f"frames: no list of {count} names")
    return tuple(names)
