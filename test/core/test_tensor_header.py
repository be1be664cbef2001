"""Headers of safetensors files: those that the library writes are read, whatever else is one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from transposenet_core.errors import UserError
from transposenet_core.tensor_header import Tensor, TensorHeader, Wanted, below, compare

MOST = 2**20


def write(path: Path, header: object, data: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def entry(shape: object = (2,), offsets: object = (0, 8), dtype: object = "F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_a_file_of_the_library_is_read(tmp_path: Path) -> None:
    tensors = {"a": torch.zeros(2, 3), "b.c": torch.zeros(0, 4, dtype=torch.float16), "b.d": torch.tensor(7)}
    save_file(tensors, tmp_path / "x", metadata={"state": "{}"})
    header = TensorHeader.of(tmp_path / "x", MOST)
    assert header.tensors == {"a": Tensor("F32", (2, 3)), "b.c": Tensor("F16", (0, 4)), "b.d": Tensor("I64", ())}
    assert header.metadata == {"state": "{}"} and below(header.tensors, "b.").keys() == {"c", "d"}


@pytest.mark.parametrize(
    ("header", "data", "length", "sentence"),
    [
        (b"", b"", None, "no JSON|Expecting value"),
        (b"{}", b"", 2**60, "with a header of 1152921504606846976"),
        (b"[" * 5000, b"", None, "nested too deep"),
        ({"a": entry()}, b"1234567", None, "the tensors take 8 bytes, 7 are there: the file is truncated"),
        ({"a": entry()}, b"123456789", None, "the tensors take 8 bytes, 9 are there"),
        ({"a": entry((3,))}, b"12345678", None, r"tensor a is F32 .3,. in 8 bytes"),
        ({"a": entry((2**41,))}, b"12345678", None, "a.shape is 2199023255552, a whole number from 0"),
        ({"a": entry((1,) * 9)}, b"12345678", None, "a.shape is of 9 entries"),
        ({"a": entry(dtype="PICKLE")}, b"12345678", None, "a.dtype is 'PICKLE', one of F64"),
        ({"a": entry(offsets=(8, 0))}, b"12345678", None, r"in -8 bytes"),
        ({"a": entry(), "b": entry()}, b"12345678", None, "a tensor begins at byte 0, the one before it ends at 8"),
        ({"a": 7}, b"", None, "a is 7, a JSON object"),
        ({"__metadata__": {"a": 7}}, b"", None, "something else than texts"),
    ],
)
def test_what_does_not_describe_its_bytes_is_refused(
    tmp_path: Path, header: object, data: bytes, length: int | None, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence) as error:
        TensorHeader.of(write(tmp_path / "x", header, data, length), MOST)
    assert str(tmp_path / "x") in str(error.value) and "\n" not in str(error.value)


def test_a_large_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="18 bytes, at most 10 are allowed"):
        TensorHeader.of(write(tmp_path / "x", {}, b"12345678"), 10)
    with pytest.raises(UserError, match=r"absent: its tensors cannot be read .No such file"):
        TensorHeader.of(tmp_path / "absent", MOST)


def test_tensors_are_compared_by_name_type_and_shape() -> None:
    wanted = {"a": Wanted(("F32", "F16"), (range(1, 4), 2))}
    compare({"a": Tensor("F16", (3, 2))}, wanted)
    for found, sentence in (
        ({}, "tensor a is missing"),
        ({"a": Tensor("F64", (3, 2))}, r"tensor a is F64 .3, 2., F32 or F16 .1 to 3, 2. is needed"),
        ({"a": Tensor("F32", (4, 2))}, "tensor a is F32"),
        ({"a": Tensor("F32", (3,))}, "tensor a is F32"),
        ({"a": Tensor("F32", (3, 2)), "b": Tensor("F32", ())}, "tensor b is too many"),
    ):
        with pytest.raises(ValueError, match=sentence):
            compare(found, wanted)
