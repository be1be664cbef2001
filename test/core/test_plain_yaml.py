"""YAML of others: plain values are read, what would take seconds or gigabytes is refused."""

from __future__ import annotations

import time

import pytest

from transposenet_core.plain_yaml import parsed_yaml

# Each line's list stands for ten of the line before it.
LAUGHS = "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))


def test_plain_values_and_aliases_are_read() -> None:
    assert parsed_yaml("a: &x [1, 2.5, true]\nb: *x\nc: {d: text}") == {
        "a": [1, 2.5, True],
        "b": [1, 2.5, True],
        "c": {"d": "text"},
    }
    assert parsed_yaml("") is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (LAUGHS, "more than 200000 values"),
        ("a: &a\n  b: *a", "nested more than 50 deep|recursive"),
        ("base: &b {x: 1}\nc: {<<: *b}", "the key << is not read"),
        ("[" * 10_000, "nested more than 50 deep"),
        ("a: 2024-99-99", "month must be in 1..12"),
        ("a: " + "9" * 5000, "digits"),
        ("a: !!python/object/apply:os.system [x]", "could not determine a constructor"),
        ("a: [", "expected"),
        ("#" * 70_000, "70000 characters, at most 65536 are allowed"),
    ],
)
def test_everything_else_is_one_sentence_soon(text: str, sentence: str) -> None:
    started = time.perf_counter()
    with pytest.raises(ValueError, match=sentence) as error:
        parsed_yaml(text)
    assert "\n" not in str(error.value) and time.perf_counter() - started < 5
