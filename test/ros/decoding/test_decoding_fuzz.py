"""Random damage to images of messages: an image or a named reason, and never anything else."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from benchmarks import decode_fuzz
from benchmarks.message_mutations import compressed_messages, raw_messages
from transposenet_ros.decoding.image_decoding import (
    BadDims,
    BadEncoding,
    BadSize,
    BadStep,
    DecodeError,
    DecodeFailed,
    decode_image,
)

REASONS = {kind: kind.reason for kind in (BadDims, BadStep, BadSize, BadEncoding, DecodeFailed)}
quick = settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))


def assert_image_or_reason(message: Any, size: tuple[int, int] | None) -> None:
    try:
        image_HW3 = decode_image(message)
    except DecodeError as error:
        assert REASONS[type(error)] == error.reason and str(error)
        return
    assert image_HW3.dtype == np.uint8 and image_HW3.ndim == 3 and image_HW3.flags.c_contiguous
    assert image_HW3.shape == (*(size or image_HW3.shape[:2]), 3) and image_HW3.size


@given(raw_messages())
@quick
def test_n39_raw(message: Any) -> None:
    assert_image_or_reason(message, (message.height, message.width))


@given(compressed_messages())
@quick
def test_n39_compressed(message: Any) -> None:
    assert_image_or_reason(message, None)


def test_n39_the_long_run_accounts_for_every_message(capsys: pytest.CaptureFixture[str]) -> None:
    """200 of the messages that benchmarks/decode_fuzz.py sends 100 000 of, through the demo's scene model."""
    assert decode_fuzz.main(["--messages", "200"]) == 0
    printed = capsys.readouterr().out
    table = {name.strip(): int(n) for name, n in re.findall(r"^( *\S.*?) +(\d+)$", printed, re.MULTILINE)}
    assert table["messages"] == 200 == table["localized"] + table["dropped"]
    assert table["decoded"] == table["localized"] > 0
    reasons = {name: n for name, n in table.items() if name in REASONS.values()}
    assert sum(reasons.values()) == table["dropped"] > 0
    assert table["crashed"] == table["invalid image"] == table["invalid pose"] == 0


def test_n39_a_crash_would_show(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault is put where the messages pass: another error than a named reason."""
    monkeypatch.setattr(decode_fuzz, "decode_image", lambda message: message.no_such_field)
    with pytest.raises(SystemExit) as ended:
        decode_fuzz.main(["--messages", "20"])
    assert ended.value.code == 1
    assert re.search(r"^crashed +20$", capsys.readouterr().out, re.MULTILINE)
