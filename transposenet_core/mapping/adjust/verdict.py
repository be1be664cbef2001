"""Whether an adjustment stands: by frame, as a whole, and whether the stated lens fits the images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transposenet_core.mapping.adjust.lens import Lens, pixel_difference
from transposenet_core.mapping.adjust.recorded import RecordedModel
from transposenet_core.mapping.adjust.rounds import FEWEST_SEEN
from transposenet_core.mapping.adjust.structure import Structure
from transposenet_core.scene import PosedImage

FAR_OUT = 8.0  # robust sigma beyond which a frame's own movement is an error of the adjustment
BAD_FIT = 3.0  # times the usual reprojection error
LEAST_SHARE = 0.5  # of the frames that have to be fixed by the images
LENS_NOTICED_PX = 0.7  # at 640 pixels of width
FOCAL_LIMIT = 0.35


def refused_frames(
    images: Sequence[PosedImage], built: Structure, model: RecordedModel, good_N: np.ndarray
) -> dict[str, str]:
    """Why frames keep their recorded pose, by name."""
    frames = len(images)
    seen_N = np.bincount(built.seen.frame_O, minlength=frames)
    sum_N = np.bincount(built.seen.frame_O, built.error_O, minlength=frames)
    mean_N = sum_N / np.maximum(seen_N, 1)
    usual = float(np.median(mean_N[good_N])) if good_N.any() else np.inf
    moved_N, rotated_N = (np.linalg.norm(model.residual_N6[:, k : k + 3], axis=1) for k in (0, 3))
    limits = FAR_OUT * model.position_sigma, FAR_OUT * model.rotation_sigma
    reasons = {}
    for n, image in enumerate(images):
        if not good_N[n] or seen_N[n] < FEWEST_SEEN:
            reasons[image.name] = f"sees {seen_N[n]} points, {FEWEST_SEEN} are needed"
        elif mean_N[n] > BAD_FIT * usual:
            reasons[image.name] = f"its points are {mean_N[n]:.1f} px off, those of other frames {usual:.1f} px"
        elif moved_N[n] > limits[0] or rotated_N[n] > limits[1]:
            reasons[image.name] = (
                f"would move by {moved_N[n]:.3g} and turn by {np.degrees(rotated_N[n]):.2g} deg, others by "
                f"{model.position_sigma:.2g} and {np.degrees(model.rotation_sigma):.2g} deg (sigma of an axis)"
            )
    return reasons


def refused(built: Structure, kept_N: np.ndarray, before_px: float, after_px: float, lens: Lens, adjusted: Lens) -> str:
    """Why the whole adjustment is refused; "" where it stands."""
    if not len(built.seen.frame_O):
        return "the images fix no points: too little texture, or a camera that only turns or stands still"
    if kept_N.sum() < max(2, LEAST_SHARE * len(kept_N)):
        return f"only {kept_N.sum()} of {len(kept_N)} frames are fixed by the images, half of them are needed"
    if not after_px <= before_px * 1.02 + 0.05:
        return f"the reprojection error would rise from {before_px:.2f} to {after_px:.2f} px"
    if abs(np.log(adjusted.focal / lens.focal)) > FOCAL_LIMIT:
        return (
            f"the focal length would go from {lens.focal:.0f} to {adjusted.focal:.0f} px, which is too far from the "
            f"stated one ({lens.stated.source})"
        )
    return ""


def lens_warning(lens: Lens, fitting: Lens, adjusted: bool) -> str:
    """A sentence where the images fit another lens than the stated one; "" where they do not."""
    apart = pixel_difference(lens, fitting)
    if apart < LENS_NOTICED_PX * lens.stated.width / 640:
        return ""
    f, k1 = fitting.focal, fitting.params_Q[4]
    was = f"stated are f = {lens.focal:.1f} px and k1 = {lens.params_Q[4]:.3f} ({lens.stated.source})"
    done = "the lens that fits is used" if adjusted else "calibrate the camera, or adjust the lens"
    return f"these images fit f = {f:.1f} px and k1 = {k1:.3f}; {was}, {apart:.1f} px apart in the mean: {done}"
