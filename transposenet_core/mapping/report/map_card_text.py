"""The card of a map as lines to read in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from transposenet_core.dataset_check.card import Spread
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.mapping.report.map_card import AdjustmentFigures, DepthFigures, MapCard, RefusedFrames
from transposenet_core.printable import printable
from transposenet_core.scene import LEFT_OUT, unit_name

LABEL_WIDTH = 15  # as the card of the check
SHOWN_RANGES = 6
LENS_KEYS = ("fx", "fy", "cx", "cy")
LEAST_SHOWN = 5e-5  # coefficients of the lens with four digits after the point
COEFFICIENTS = {
    "plumb_bob": ("k1", "k2", "p1", "p2", "k3"),
    "rational_polynomial": ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
    "equidistant": ("k1", "k2", "k3", "k4"),
}


def map_card_text(card: MapCard) -> str:
    """The card as a table of two columns."""
    return "\n".join(f"{label:<{LABEL_WIDTH}}{printable(text)}" for label, text in _rows(card))


def _rows(card: MapCard) -> Iterable[tuple[str, str]]:
    unit = unit_name(card.units)
    scored = {split: count for split, count in card.frames_not_mapped.items() if count and split != LEFT_OUT}
    kept = f"; {', '.join(f'{count} {split}' for split, count in scored.items())} frames as recorded" if scored else ""
    if between := card.frames_not_mapped.get(LEFT_OUT):
        kept += f"; {between} left out between them"
    yield "map", f"{card.scene}, {card.frames} training frames in the frame {card.map_frame}{kept}"
    if card.adjustment:
        yield from _adjustment(card.adjustment, unit)
    yield "labels", f"{card.labels}: {card.labels_reason}"
    if card.depth:
        yield from _depth(card.depth, unit)
    else:
        yield "depth", "none"
    for warning in card.warnings:
        yield "warning", warning
    if card.seconds:
        steps = ", ".join(f"{step} {seconds:.0f}" for step, seconds in card.seconds.items())
        a_frame = sum(card.seconds.values()) / max(card.frames, 1)
        yield "seconds", f"{steps}; {a_frame:.2f} for each training frame"


def _adjustment(figures: AdjustmentFigures, unit: str) -> Iterable[tuple[str, str]]:
    if figures.refused:
        yield "adjustment", f"refused: {figures.refused}"
        return
    before, after = (_number(value, 2) for value in (figures.reprojection_before_px, figures.reprojection_after_px))
    yield "reprojection", f"{before} px with the recorded poses, {after} px with the adjusted ones"
    yield "tracks", f"{figures.points} points, seen by {figures.track_length:.1f} frames each"
    if figures.prior_sigma is not None:
        sigma = f"{figures.prior_sigma:.3g} {unit} / {_number(figures.prior_sigma_deg, 2)} deg"
        yield (
            "prior",
            f"recorded poses believed to {sigma}" + (f" ({figures.prior_source})" if figures.prior_source else ""),
        )
    yield "moved", _spread([_length(v, unit) for v in _values(figures.moved)], unit)
    yield "rotated", _spread([_number(v, 2) for v in _values(figures.rotated_deg)], "deg")
    for number, frame in enumerate(figures.moved_most):
        yield (
            "" if number else "moved most",
            f"{_length(frame.moved, unit)} {unit} / {frame.rotated_deg:.2f} deg  {frame.name}",
        )
    yield from _lens(figures)
    yield from _offsets(figures, unit)
    yield from _ranges("kept recorded", figures.refused_frames)


def _lens(figures: AdjustmentFigures) -> Iterable[tuple[str, str]]:
    if figures.lens_before is None or figures.lens_after is None:
        return
    note = f"; {figures.lens_note}" if figures.lens_note else ""
    if _lens_text(figures.lens_before) == _lens_text(figures.lens_after):
        yield "lens", f"{_lens_text(figures.lens_before)}, kept{note}"
        return
    yield "lens before", f"{_lens_text(figures.lens_before)} (from: {figures.lens_before['source']})"
    yield "lens after", f"{_lens_text(figures.lens_after)}{note}"


def _lens_text(lens: dict) -> str:
    pinhole = " ".join(f"{key} {lens[key]:.1f}" for key in LENS_KEYS)
    camera = Intrinsics(**lens)
    names = COEFFICIENTS.get(camera.distortion_model, ())
    pairs = zip(names, camera.distortion, strict=False)
    values = [f"{name} {value:.4f}" for name, value in pairs if abs(value) >= LEAST_SHOWN]
    distortion = f", {camera.distortion_model} {' '.join(values)}" if values else ", no distortion"
    return f"{pinhole} px at {camera.width}x{camera.height}{distortion}"


def _offsets(figures: AdjustmentFigures, unit: str) -> Iterable[tuple[str, str]]:
    if (offset := figures.constant_offset) is not None:
        if offset.found and offset.T_body_camera is not None:
            x, y, z = (_length(value, unit) for value in offset.T_body_camera["position"])
            sigma = f" (+- {_length(offset.sigma, unit)} {unit} / {_number(offset.sigma_deg, 2)} deg)"
            sigma = sigma if offset.sigma else ""
            text = f"the camera is at x {x} y {y} z {z} {unit} of where the recording has it"
            yield "offset", f"{text}, rotated by {offset.rotation_deg:.2f} deg{sigma}"
        else:
            yield "offset", "none between the recorded body and the camera that the images decide"
    if (time := figures.time_offset) is not None:
        sigma = f" (+- {1000 * time.sigma_s:.0f} ms)" if time.sigma_s else ""
        text = f"images and poses are {1000 * time.seconds:+.0f} ms apart{sigma}"
        yield "time offset", text if time.found else "none between images and poses that the images decide"


def _depth(depth: DepthFigures, unit: str) -> Iterable[tuple[str, str]]:
    agree = "" if depth.agreement is None else f"; frames agree on {depth.agreement:.0%} of what they estimate"
    yield "depth", f"from {depth.source}, {depth.share:.0%} of all pixels{agree}"
    yield (
        "depth frames",
        (f"{depth.frames_with_depth} of {depth.frames}; the least has {depth.worst_frame} ({depth.worst_share:.0%})"),
    )
    if depth.nearest is not None and depth.farthest is not None:
        yield "depth range", f"{depth.nearest:.3g} to {depth.farthest:.3g} {unit}"
    for sentence in depth.sensor:
        yield "sensor", sentence
    yield from _ranges("without depth", depth.without)


def _ranges(label: str, found: Sequence[RefusedFrames]) -> Iterable[tuple[str, str]]:
    """One line for each range of frames and its reason; the rest is in map.json."""
    for number, refused in enumerate(found[:SHOWN_RANGES]):
        yield "" if number else label, f"{refused.frames}" + (f": {refused.reason}" if refused.reason else "")
    if len(found) > SHOWN_RANGES:
        yield "", f"and {len(found) - SHOWN_RANGES} more ranges (map.json has all)"


def _values(spread: Spread) -> tuple[float | None, ...]:
    return spread.median, spread.p95, spread.largest


def _spread(figures: Sequence[str], unit: str) -> str:
    return "median {}, p95 {}, at most {} {}".format(*figures, unit)


def _length(value: float | None, unit: str) -> str:
    """To a millimetre, or to three digits in units of which nobody knows how large they are."""
    return "unknown" if value is None else f"{value:.3f}" if unit == "m" else f"{value:.3g}"


def _number(value: float | None, digits: int) -> str:
    return "unknown" if value is None else f"{value:.{digits}f}"
