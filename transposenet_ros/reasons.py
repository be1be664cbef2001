"""Every reason why a frame gives no pose: one table, by which the node counts and which prints docs/reasons.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["OK", "WARN", "ERROR"]


@dataclass(frozen=True)
class Reason:
    """A row: `meaning` is the text in docs/reasons.md, `level` what /diagnostics shows while no frame is localized and
    this is why; after `error_after` in a row without any other outcome it is an ERROR. A row with
    `in_localized_share` counts in `localized_share`: it shows whether the camera can be localized."""

    name: str
    meaning: str
    level: Level
    in_localized_share: bool
    error_after: int | None


ROWS: dict[str, Reason] = {}
# Counted by a replay: frames of the recording that the node never received.
REPLAY_ROWS: dict[str, str] = {}


def _row(
    name: str, meaning: str, level: Level = "WARN", in_localized_share: bool = True, error_after: int | None = None
) -> str:
    ROWS[name] = Reason(name, meaning, level, in_localized_share, error_after)
    return name


def _replay_row(name: str, meaning: str) -> str:
    REPLAY_ROWS[name] = meaning
    return name


SUPERSEDED = _row(
    "superseded",
    "a newer frame came while it waited: the network is slower than the camera, which is normal",
    in_localized_share=False,
)
BAD_DIMS = _row("bad_dims", "no pixels or more than 64 million, a thin strip, or sides that the encoding cannot have")
BAD_STEP = _row("bad_step", "`step` is shorter than a row of pixels, or ends within a pixel")
BAD_SIZE = _row("bad_size", "`data` has fewer bytes than the rows take")
BAD_ENCODING = _row("bad_encoding", "an encoding or a compressed format that is not supported", "ERROR")
DECODE_FAILED = _row("decode_failed", "a damaged or truncated JPEG or PNG")
ZERO_STAMP = _row("zero_stamp", "the publisher left the stamp empty; `stamp_policy` replaces it")
NO_FRAME_ID = _row("no_frame_id", "the publisher left the frame's name empty; `camera_frame` replaces it")
FUTURE_STAMP = _row(
    "future_stamp", "more than `future_tolerance` (1 s) ahead of the node's clock: synchronise camera and node"
)
STALE = _row(
    "stale",
    "more than `max_age` (5 s) behind it on arrival. A recording on wall time, which is more than a minute behind, "
    "is accepted with a WARN",
)
DUPLICATE_STAMP = _row("duplicate_stamp", "the same stamp as the image before; each is published once")
OUT_OF_ORDER = _row("out_of_order", "older than the image before; a looped recording starts a new time segment")
CLOCK_JUMPED = _row(
    "clock_jumped", "the clock jumped while the frame waited or was processed", in_localized_share=False
)
NOT_LISTENED = _row(
    "not_listened",
    "no output has a subscriber, so no inference is run (`idle_without_listeners`)",
    "OK",
    in_localized_share=False,
)
DISABLED = _row("disabled", "switched off by `~/set_enabled`", "OK", in_localized_share=False)
CAMERA_MISMATCH = _row(
    "camera_mismatch",
    "the images have another aspect ratio than their CameraInfo says; or CameraInfo is of another camera than the "
    "training's, and `on_camera_mismatch` is `refuse`",
    "ERROR",
)
DEVICE_FAILED = _row(
    "device_failed",
    "the GPU ran out of memory twice and `on_device_error` is `error`, or the CPU failed as well",
    "ERROR",
)
OUT_OF_SCENE = _row(
    "out_of_scene",
    "the model is less certain of it than of frames of its scene: another place, a covered lens, strong occlusion; "
    "or none of its keyframes confirms a pose that was only guessed; `out_of_scene: publish` publishes its pose",
)
NON_FINITE_OUTPUT = _row("non_finite_output", "the network output NaN: train again", error_after=10)
INFERENCE_FAILED = _row("inference_failed", "the network raised an error, which is in the log", "ERROR")
DEACTIVATED = _row("deactivated", "the frame that waited when the node was deactivated", in_localized_share=False)

LOST_IN_TRANSPORT = _replay_row("lost_in_transport", "it was sent and never reached the node")
DAMAGED_IN_BAG = _replay_row("damaged_in_bag", "its message cannot be read, so it was not sent")
REPEATED_STAMP = _replay_row(
    "repeated_stamp", "its stamp was sent before, so it was not sent: poses are matched by stamp"
)

ERRORS = frozenset(row.name for row in ROWS.values() if row.level == "ERROR")
# Outcomes that have no information on whether the camera can be localized.
NOT_IN_LOCALIZED_SHARE = frozenset(row.name for row in ROWS.values() if not row.in_localized_share)
# This many in a row mean that the network itself is broken.
BROKEN_NETWORK = {row.name: row.error_after for row in ROWS.values() if row.error_after is not None}


def markdown() -> str:
    """docs/reasons.md."""
    lines = [
        "# Why a frame gives no pose",
        "",
        "Printed by `python -m transposenet_ros.reasons`; a test compares. The node counts every frame without a pose",
        "under one of these names, as `dropped_REASON` in `/diagnostics`, and logs it at most every 5 s. The level is",
        "what `/diagnostics` shows while no frame is localized and this is why. `localized_share` counts the frames",
        "whose outcome shows whether the camera can be localized.",
        "",
        "| reason | level | in `localized_share` | what it means |",
        "|---|---|---|---|",
    ]
    for row in ROWS.values():
        level = f"{row.level}, ERROR after {row.error_after} in a row" if row.error_after else row.level
        lines.append(f"| `{row.name}` | {level} | {'yes' if row.in_localized_share else 'no'} | {row.meaning} |")
    lines += [
        "",
        "A replay (`replay_evaluation`) adds what the node itself cannot count:",
        "",
        "| reason | what it means |",
        "|---|---|",
    ]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in REPLAY_ROWS.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
