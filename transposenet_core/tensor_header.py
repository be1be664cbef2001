"""What a safetensors file says of itself, checked before any memory is asked for: files come from elsewhere.

The file is 8 bytes with the header's length (little endian), a JSON header, then the tensors one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

from transposenet_core import checked
from transposenet_core.errors import UserError

# Bytes of a number by the format's name of its type; those that nothing here writes or reads are left out.
TYPES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
LENGTH_BYTES, MOST_HEADER_BYTES, MOST_AXES = 8, 8 * checked.MEBIBYTE, 8
LARGEST_AXIS = 2**40

Each = TypeVar("Each")


class Tensor(NamedTuple):
    """Type (a key of TYPES) and shape of a tensor in a file."""

    type: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.type} {self.shape}"


class Wanted(NamedTuple):
    """The types and the shape that a tensor may have; a range is what an axis may be where it may vary."""

    types: tuple[str, ...]
    shape: tuple[int | range, ...]

    def allows(self, found: Tensor) -> bool:
        if found.type not in self.types or len(found.shape) != len(self.shape):
            return False
        axes = zip(self.shape, found.shape, strict=True)
        return all(size in axis if isinstance(axis, range) else size == axis for axis, size in axes)

    def __str__(self) -> str:
        axes = (f"{axis[0]} to {axis[-1]}" if isinstance(axis, range) else str(axis) for axis in self.shape)
        return f"{' or '.join(self.types)} ({', '.join(axes)})"


@dataclass(frozen=True)
class TensorHeader:
    """The tensors of a file by name, and the texts beside them."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]

    @classmethod
    def of(cls, path: Path, most_bytes: int) -> TensorHeader:
        """That of a file. UserError where it cannot be read, is larger than `most_bytes` or its header does not fit."""
        try:
            with open(path, "rb") as file:
                return cls.read(file, path.stat().st_size, most_bytes)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"{path}: its tensors cannot be read ({reason}); copy the file again") from None

    @classmethod
    def read(cls, file: BinaryIO, size: int, most_bytes: int) -> TensorHeader:
        """That of an open file of `size` bytes. ValueError where it is larger than `most_bytes`, or the header does not
        describe exactly the bytes that follow it."""
        if size > most_bytes:
            raise ValueError(f"{size} bytes, at most {most_bytes} are allowed")
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if length > min(MOST_HEADER_BYTES, size - LENGTH_BYTES):
            raise ValueError(f"{size} bytes with a header of {length}, at most {MOST_HEADER_BYTES} are allowed")
        described = checked.mapping("the header", checked.parsed_json(file.read(length)))
        metadata = checked.mapping("__metadata__", described.pop("__metadata__", None) or {})
        if not all(isinstance(text, str) for text in metadata.values()):
            raise ValueError("__metadata__ holds something else than texts")
        tensors, places = {}, []
        for name, entry in described.items():
            tensors[name], place = _tensor(name, checked.mapping(name, entry))
            places.append(place)
        end = 0
        for first, last in sorted(places):
            if first != end:
                raise ValueError(f"a tensor begins at byte {first}, the one before it ends at {end}")
            end = last
        if end != size - LENGTH_BYTES - length:
            raise ValueError(
                f"the tensors take {end} bytes, {size - LENGTH_BYTES - length} are there: the file is truncated or "
                "of another model"
            )
        return cls(tensors, metadata)


def below(tensors: Mapping[str, Each], prefix: str) -> dict[str, Each]:
    """Those whose names begin with `prefix`, without it."""
    return {name[len(prefix) :]: each for name, each in tensors.items() if name.startswith(prefix)}


def compare(found: Mapping[str, Tensor], wanted: Mapping[str, Wanted]) -> None:
    """ValueError names the first tensor that is missing, too many, or of another type or shape."""
    for name, want in wanted.items():
        if name not in found:
            raise ValueError(f"tensor {name} is missing")
        if not want.allows(found[name]):
            raise ValueError(f"tensor {name} is {found[name]}, {want} is needed")
    if more := found.keys() - wanted.keys():
        raise ValueError(f"tensor {min(more)[:80]} is too many")


def _tensor(name: str, entry: dict[str, Any]) -> tuple[Tensor, tuple[int, int]]:
    """A tensor and the bytes, first and behind the last, that it takes."""
    checked.text("a tensor's name", name)
    shape = checked.sequence(f"{name}.shape", entry.get("shape"), 0, MOST_AXES)
    sides = tuple(checked.whole(f"{name}.shape", side, 0, LARGEST_AXIS) for side in shape)
    found = Tensor(checked.text(f"{name}.dtype", entry.get("dtype"), tuple(TYPES)), sides)
    offsets = checked.sequence(f"{name}.data_offsets", entry.get("data_offsets"), 2, 2)
    first, last = (checked.whole(f"{name}.data_offsets", offset, 0, 2**62) for offset in offsets)
    if last - first != math.prod(sides) * TYPES[found.type]:
        raise ValueError(f"tensor {name} is {found} in {last - first} bytes")
    return found, (first, last)
