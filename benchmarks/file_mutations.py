"""Files that are nearly right: what `file_fuzz.py` does to the bytes of a good one. One seed gives one file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np

NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
# What stands for a number or a value: bounds of types, sizes that ask for gigabytes, other types, nesting without end.
TEXTS = [b"0", b"-1", b"1", b"7", b"0.5", b"1e9", b"60000", b"100000000", b"2147483647", b"4294967296"]
TEXTS += [b"-9223372036854775808", b"1e308", b"-1e308", b"1e400", b"1e-320", b"NaN", b"-Infinity", b"nan", b"inf"]
TEXTS += [b"9" * 400, b"9" * 5000, b"", b"true", b"null", b'""', b'"x"', b"[]", b"{}", b"[" * 3000, b'"\\ud800"']
TEXTS += [b"1_0", b"0x10", b"\xff\xfe", b"\0", b"../../../etc/passwd", b"2024-99-99", b"&a [*a]"]
TEXTS += [b"!!python/object:os.system x"]
VALUES: list[Any] = [0, -1, 1, 2, 0.5, 60_000, 10**8, 10**9, 2**31, 2**53, 2**63, 10**30, 10**400]
VALUES += [1e9, 1e30, 1e308, -1e308, 1e-320, float("nan"), float("inf"), -float("inf"), True, None]
VALUES += ["", "x", "x" * 5000, "\ud800", "../x", [], {}, [[[]]], [1] * 50]
WORDS = [0, 1, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FF80000, 0x7F800000, 2**63 - 1, 2**64 - 1, 2**40]

Random = np.random.Generator


def mutated(data: bytes, random: Random) -> bytes:
    """The bytes after one to four damages."""
    for _ in range(int(random.choice([1, 1, 1, 2, 3, 4]))):
        damage = DAMAGES[int(random.integers(len(DAMAGES)))]
        if _is_safetensors(data) and random.random() < 0.5:
            damage = _header_value if random.random() < 0.7 else _tensor_value
        elif data[:1] == b"{" and random.random() < 0.6:
            damage = _json_value
        data = damage(data, random)
    return data


def _place(data: bytes, random: Random) -> int:
    return int(random.integers(len(data) + 1))


def _section(data: bytes, random: Random) -> tuple[int, int]:
    begin = _place(data, random)
    return begin, min(len(data), begin + int(2 ** random.uniform(0, 12)))


def _flip(data: bytes, random: Random) -> bytes:
    changed = bytearray(data or b"\0")
    for place in random.integers(8 * len(changed), size=int(random.integers(1, 9))):
        changed[place // 8] ^= 1 << (place % 8)
    return bytes(changed)


def _truncate(data: bytes, random: Random) -> bytes:
    return data[: _place(data, random)]


def _extend(data: bytes, random: Random) -> bytes:
    begin, end = _section(data, random)
    return data + [b"\0" * 4096, random.bytes(64), data[begin:end], b"\n" * 8][int(random.integers(4))]


def _remove(data: bytes, random: Random) -> bytes:
    begin, end = _section(data, random)
    return data[:begin] + data[end:]


def _repeat(data: bytes, random: Random) -> bytes:
    begin, end = _section(data, random)
    return data[:end] + data[begin:]


def _swap(data: bytes, random: Random) -> bytes:
    first, second = sorted((_section(data, random), _section(data, random)))
    middle = max(first[1], second[0])
    return (
        data[: first[0]] + data[second[0] : second[1]] + data[first[1] : middle] + data[slice(*first)] + data[middle:]
    )


def _word(data: bytes, random: Random) -> bytes:
    """A binary number of four or eight bytes."""
    length = int(random.choice([4, 8]))
    word = (WORDS[int(random.integers(len(WORDS)))] % 256**length).to_bytes(length, "little")
    place = _place(data, random) // length * length
    return data[:place] + word + data[place + length :]


def _number(data: bytes, random: Random) -> bytes:
    """A number in a text; in a file without any a random byte."""
    found = list(NUMBER.finditer(data[: 2**16]))
    if not found:
        return _flip(data, random)
    begin, end = found[int(random.integers(len(found)))].span()
    return data[:begin] + TEXTS[int(random.integers(len(TEXTS)))] + data[end:]


def _json_value(data: bytes, random: Random) -> bytes:
    """A value of a JSON text that stays one; other texts get another number."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return _number(data, random)
    return json.dumps(_changed(content, random)).encode(errors="surrogatepass")


def _changed(content: Any, random: Random) -> Any:
    """A copy with one value replaced, left out, doubled or renamed somewhere in it."""
    inner = list(
        content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    )
    if not inner or random.random() < 0.1:
        return VALUES[int(random.integers(len(VALUES)))]
    key, value = inner[int(random.integers(len(inner)))]
    copy = content.copy()
    action = random.random()
    if action < 0.06:
        copy.pop(key)
    elif action < 0.12 and isinstance(copy, list):
        copy *= int(random.choice([2, 100]))
    elif action < 0.12:
        copy[f"{key}x"] = copy.pop(key)
    else:
        copy[key] = _changed(value, random)
    return copy


def _is_safetensors(data: bytes) -> bool:
    return len(data) > 9 and data[8:9] == b"{" and int.from_bytes(data[:8], "little") < len(data)


def _split(data: bytes) -> tuple[bytes, bytes]:
    end = 8 + int.from_bytes(data[:8], "little")
    return data[8:end], data[end:]


def _header_value(data: bytes, random: Random) -> bytes:
    """A value in the header of a safetensors file, or in the JSON text that the header holds."""
    if not _is_safetensors(data):
        return _flip(data, random)
    header, tensors = _split(data)
    try:
        content = json.loads(header)
        texts = [key for key, text in content.get("__metadata__", {}).items() if text.startswith("{")]
        if texts and random.random() < 0.5:
            content["__metadata__"][texts[0]] = _json_value(content["__metadata__"][texts[0]].encode(), random).decode()
            header = json.dumps(content).encode()
        else:
            header = _json_value(header, random)
    except (ValueError, AttributeError, RecursionError):
        return _flip(data, random)
    return len(header).to_bytes(8, "little") + header + tensors


def _tensor_value(data: bytes, random: Random) -> bytes:
    """Numbers behind the header."""
    if not _is_safetensors(data):
        return _word(data, random)
    changed, begin = bytearray(data), len(data) - len(_split(data)[1])
    for place in random.integers(begin, len(data), size=int(random.integers(1, 20))) if begin < len(data) else ():
        word = WORDS[int(random.integers(len(WORDS)))] % 2**32
        changed[place : place + 4] = word.to_bytes(4, "little")[: len(data) - place]
    return bytes(changed)


DAMAGES: list[Callable[[bytes, Random], bytes]] = [
    _flip,
    _truncate,
    _extend,
    _remove,
    _repeat,
    _swap,
    _word,
    _number,
    _number,
    _json_value,
]
