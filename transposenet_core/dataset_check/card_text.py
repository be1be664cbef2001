"""A scene's card and the faults of its data as lines to read in a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from transposenet_core.dataset_check.card import Card, Spread
from transposenet_core.formats.faults import SHOWN, Fault
from transposenet_core.formats.runs import NEAR
from transposenet_core.printable import printable
from transposenet_core.scene import unit_name

LABEL_WIDTH = 15
SHOWN_SEQUENCES = 6


def card_text(card: Card) -> str:
    """The card as a table of two columns."""
    return "\n".join(f"{label:<{LABEL_WIDTH}}{printable(text)}" for label, text in _rows(card))


def faults_text(faults: Sequence[Fault], everything: bool) -> str:
    """Refused rows first, then remarks; the first five of a kind, or all of them. "" where there are none."""
    lines = []
    for label, refused in (("refused", True), ("remark", False)):
        for kind in _kinds(fault for fault in faults if fault.refused == refused):
            shown = kind if everything else kind[:SHOWN]
            lines += [f"{label:<{LABEL_WIDTH}}{fault}" for fault in shown]
            if len(kind) > len(shown):
                lines.append(f"{'':<{LABEL_WIDTH}}and {len(kind) - len(shown)} more like these (--all)")
    return "\n".join(lines)


def _kinds(faults: Iterable[Fault]) -> list[list[Fault]]:
    """Faults of the same kind: their words are equal except for numbers, names and short words."""
    kinds: dict[str, list[Fault]] = {}
    for fault in faults:
        words = [word for word in fault.what.split() if not re.search(r"[\d/_]", word)]
        kinds.setdefault(" ".join(words[:4]), []).append(fault)
    return list(kinds.values())


def _rows(card: Card) -> Iterable[tuple[str, str]]:
    total = sum(card.frames.values())
    yield "scene", f"{card.scene}, {total} images" + (", with depth" if card.depth else "")
    yield "splits", "  ".join(f"{split} {count}" for split, count in card.frames.items())
    yield "sequences", _sequences(card)
    unit, (length, width) = unit_name(card.units), card.extent_m
    yield "extent", f"{length:.1f} x {width:.1f} {unit} seen from above; up is {card.up} ({card.up_found})"
    low, middle, high = card.heights_m
    yield "heights", f"median {middle:.2f} {unit}, {low:.2f} to {high:.2f} {unit}"
    yield from _motion(card, unit)
    yield "revisits", f"{card.revisited:.0%} of the frames at places come back to (cubes of {card.place_m:.2f} {unit})"
    low, middle, high = card.directions.elevations_deg
    seen, all_sectors = card.directions.sectors_seen, len(card.directions.sector_shares)
    yield "directions", f"training views in {seen} of {all_sectors} sectors of 30 deg, {low:.0f} to {high:.0f} deg up"
    for split, distance in card.distances.items():
        metres, degrees = distance.metres, distance.degrees
        away = f"{_number(metres.median, 2)} {unit} / {_number(degrees.median, 1)} deg"
        text = f"median {away} from the nearest training pose"
        unseen = card.directions.unseen.get(split, 0.0)
        blind = f"; {unseen:.0%} in directions without training views" if unseen >= 0.005 else ""
        yield (
            f"{split} frames",
            f"{text}, at most {_number(metres.largest, 2)} {unit} / {_number(degrees.largest, 1)} deg{blind}",
        )
    for split, leakage in card.leakage.items():
        if leakage.nearest_frames is None:
            yield f"{split} leakage", "none: no run also has training frames"
        else:
            nearest = f"the nearest training frame is a median {leakage.nearest_frames:.0f} frames away"
            yield (
                f"{split} leakage",
                f"{leakage.leaking} of {leakage.frames} within {NEAR} frames of a training frame; {nearest}",
            )
    yield "images", _images(card)
    yield "camera", _camera(card)


def _motion(card: Card, unit: str) -> Iterable[tuple[str, str]]:
    """How far and how fast: per second where the images carry a time, else per frame."""
    if card.duration_s is not None:
        rate = f" at {card.rate_hz:.3g} Hz" if card.rate_hz else ", no times known"
        yield "track", f"{card.path_m:.1f} {unit} in {card.duration_s:.1f} s{rate}"
        yield "speed", _spread(card.speeds_m_s, f"{unit}/s")
        yield "turning", _spread(card.rotations_deg_s, "deg/s", 1)
    else:
        yield "track", f"{card.path_m:.1f} {unit}; the images carry no time (rate= of --data gives them one)"
        yield "speed", _spread(card.steps_m_frame, f"{unit} per frame", 3)
        yield "turning", _spread(card.rotations_deg_frame, "deg per frame", 2)


def _sequences(card: Card) -> str:
    parts = [
        f"{name} ({', '.join(f'{split} {count}' for split, count in splits.items())})"
        for name, splits in list(card.sequences.items())[:SHOWN_SEQUENCES]
    ]
    more = len(card.sequences) - SHOWN_SEQUENCES
    return f"{len(card.sequences)}: {', '.join(parts)}" + (f" and {more} more" if more > 0 else "")


def _images(card: Card) -> str:
    counts = card.image_counts
    if counts is None:
        return "not checked (labels only)"
    sizes = ", ".join(f"{count} of {size}" for size, count in counts.sizes.items()) or "none readable"
    kinds = {
        "unreadable": counts.unreadable,
        "duplicate": counts.duplicates,
        "camera standing still": counts.still,
        "frozen": counts.frozen,
        "blurred": counts.blurred,
        "badly exposed": counts.badly_exposed,
    }
    return f"{sizes}; {', '.join(f'{count} {kind}' for kind, count in kinds.items())}"


def _camera(card: Card) -> str:
    camera = card.intrinsics
    if camera is None:
        return "unknown: virtual rotation, view synthesis and geometry are not available"
    text = f"fx {camera['fx']:.1f} fy {camera['fy']:.1f} cx {camera['cx']:.1f} cy {camera['cy']:.1f} px"
    return f"{text} at {camera['width']}x{camera['height']} (from: {camera['source']})"


def _spread(spread: Spread, unit: str, digits: int = 2) -> str:
    figures = [_number(value, digits) for value in (spread.median, spread.p95, spread.largest)]
    return "median {}, p95 {}, at most {} {}".format(*figures, unit)


def _number(value: float | None, digits: int) -> str:
    return "unknown" if value is None else f"{value:.{digits}f}"
