"""The training configuration: dataclasses are the schema and, printed by `train.py --help`, the documentation."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field

from transposenet_core.limits import MOST_CROPS, MOST_SIDE

TINY = 1e-300  # as the lowest value: above 0
ANGLE: dict[str, typing.Any] = {"lowest": 0, "highest": 45}


@dataclass(frozen=True)
class KeyInfo:
    """What `train.py --help` prints for a key, and the limits of its value (lowest and highest included)."""

    meaning: str
    source: str
    allowed: tuple[str, ...] = ()
    lowest: float = -math.inf
    highest: float = math.inf


def key(default: typing.Any, meaning: str, source: str = "ours", **limits: typing.Any) -> typing.Any:
    """A configuration key: its default, what it means, where the default comes from, and its limits."""
    documented = {"info": KeyInfo(meaning, source, **limits)}
    if isinstance(default, type):
        return field(default_factory=default, metadata=documented)
    return field(default=default, metadata=documented)


PAPER = "TransPoseNet section 4"


@dataclass
class ModelConfig:
    name: str = key("transposenet", "network, one of model_names()")
    options: dict = key(dict, "options of build_model(name, ...), listed below; image_size comes from `image`")


@dataclass
class BackboneConfig:
    weights: str = key("none", "imagenet (fetched once, hash checked), a FILE or scene model, or none: from scratch")


@dataclass
class ImageConfig:
    smaller_edge: int = key(256, "pixels that the smaller edge is resized to", PAPER, lowest=1, highest=MOST_SIDE)
    height: int = key(224, "of the window that the network sees", PAPER, lowest=1, highest=MOST_SIDE)
    width: int = key(224, "of the window that the network sees", PAPER, lowest=1, highest=MOST_SIDE)
    crops: int = key(
        1,
        "windows seen of an image when running, their answers averaged (PoseNet: 128); 1: the centre",
        lowest=1,
        highest=MOST_CROPS,
    )
    match_aspect_ratio: bool = key(
        False,
        "give the window the aspect ratio of the scene's images, landscape or portrait: the shorter of height and "
        "width stays, the other follows (ours); off where height or width is given on the command line",
    )


@dataclass
class VirtualRotationConfig:
    """Rotation of the camera about its centre, with its label, instead of the random crop; needs intrinsics."""

    yaw: float = key(0.0, "rotation by up to +- this many degrees; no random crop if one is above 0", **ANGLE)
    pitch: float = key(0.0, "the same, up and down", **ANGLE)
    roll: float = key(0.0, "the same, about the optical axis", **ANGLE)

    def is_on(self) -> bool:
        return max(self.yaw, self.pitch, self.roll) > 0


@dataclass
class AugmentationConfig:
    random_crop: bool = key(True, "the window at a random position in the resized image; false: at its centre", PAPER)
    colour_jitter: float = key(0.5, "brightness, contrast, saturation within 1 +- this", PAPER, lowest=0, highest=1)
    gamma: float = key(0.0, "pixels to a power of 1 / (1 + this) to 1 + this: other exposure", lowest=0, highest=2)
    blur: float = key(0.0, "Gaussian blur, standard deviation of 0 to this many pixels", lowest=0, highest=5)
    noise: float = key(0.0, "Gaussian noise, standard deviation of 0 to this many grey levels", lowest=0, highest=100)
    erasing: float = key(
        0.0, "a rectangle of the mean colour, with sides of 0 to this share of the image's", lowest=0, highest=1
    )
    virtual_rotation: VirtualRotationConfig = key(VirtualRotationConfig, "")
    as_recorded: float = key(
        0.0, "share of the views without rotation and translation, as the robot's images", lowest=0, highest=1
    )
    virtual_translation: float = key(
        0.0, "translation of the camera by up to +- this many metres along each axis; needs depth", lowest=0, highest=10
    )
    relative_translation: float = key(
        0.0,
        "the same by up to +- this share of the image's typical depth (harmonic mean; at most of 1.5 times the "
        "scene's, and twice this share of the depth of its nearest pixels): for any scene and unit; needs depth",
        lowest=0,
        highest=1,
    )
    view_completion: float = key(
        0.0,
        "share of the views whose missing parts are filled from other training images; needs depth and virtual views",
        lowest=0,
        highest=1,
    )

    def moves(self) -> bool:
        """Whether views are rotated or translated, instead of the random crop."""
        return self.virtual_rotation.is_on() or self.translates()

    def translates(self) -> bool:
        """Whether views are translated, which needs depth."""
        return self.virtual_translation > 0 or self.relative_translation > 0


@dataclass
class LabelsConfig:
    """Noise added to the training labels once, to measure the effect of poor labels (benchmarks/label_noise.py)."""

    position_noise: float = key(0.0, "standard deviation along each axis of the map, metres", lowest=0)
    rotation_noise: float = key(0.0, "standard deviation about each axis, degrees", lowest=0, highest=90)


@dataclass
class LossConfig:
    rotation: str = key(
        "quaternion",
        "quaternion (Eq. 4), sign_invariant (to the nearer of q and -q) or geodesic (half the angle, radians)",
        PAPER,
        allowed=("quaternion", "sign_invariant", "geodesic"),
    )
    s_position: float = key(0.0, "initial value of the learned s_x of Eq. 5; outdoors -3", PAPER)
    s_orientation: float = key(-3.0, "initial value of the learned s_q of Eq. 5; outdoors -6.5", PAPER)
    beta: float = key(
        0.0,
        "PoseNet's fixed weight of the orientation, 120 to 750 indoors and 250 to 2000 outdoors; 0: Eq. 5 learns it",
        lowest=0,
    )
    neighbours: float = key(
        0.0,
        "weight of the same loss for the relative pose of two frames that are ten apart in the data set and share a "
        "batch (MapNet); 0: batches of single frames",
        lowest=0,
        highest=1000,
    )
    points: float = key(
        0.0,
        "weight of the error, in metres, of the map points that an auxiliary head, discarded after training, regresses "
        "for the cells; transposenet and transposenet_fast, needs depth; 0: no such head",
        lowest=0,
        highest=1000,
    )


@dataclass
class OptimizerConfig:
    kind: str = key(
        "adam", "adam, or adamw: decoupled weight decay, on matrices only", PAPER, allowed=("adam", "adamw")
    )
    learning_rate: float = key(1e-4, "of Adam", PAPER, lowest=TINY)
    weight_decay: float = key(1e-4, "on all weights but s_x and s_q; adamw: not on norms, tables...", PAPER, lowest=0)
    eps: float = key(1e-10, "of Adam", PAPER, lowest=TINY)
    clip_norm: float = key(0.0, "largest norm of the gradient, which is clipped to it; 0: no clipping", lowest=0)


@dataclass
class ScheduleConfig:
    kind: str = key("step", "step or cosine (a half period, down to 0)", PAPER, allowed=("step", "cosine"))
    step_epochs: int = key(100, "epochs between two steps; outdoors 200", PAPER, lowest=1)
    step_factor: float = key(0.1, "factor of the rate at every step", PAPER, lowest=TINY, highest=1)
    warmup_epochs: float = key(0.0, "epochs over which the rate rises linearly from 0", lowest=0)


@dataclass
class HeadsConfig:
    """Stage 2 of section 4: one head at a time by its own loss (Eq. 3 or 4), everything else frozen."""

    epochs: int = key(
        0, "for each head, after stage 1 (the paper gives none; ours is 100); 0: no second stage", lowest=0
    )
    learning_rate: float = key(1e-3, "of stage 2; not given outdoors", PAPER, lowest=TINY)
    weight_decay: float = key(1e-2, "of stage 2; not given outdoors", PAPER, lowest=0)
    position_prior: bool = key(False, "the orientation head also receives the position latent; outdoors true", PAPER)


@dataclass
class DecoderConfig:
    """Images from poses: trained last by `pose_autoencoder`, with everything else frozen."""

    epochs: int = key(0, "of the decoder of `pose_autoencoder`; 0: none", lowest=0)
    learning_rate: float = key(1e-3, "of the decoder", lowest=TINY)


@dataclass
class TrainConfig:
    """Everything a training run depends on; the defaults are the paper's indoor stage 1 (section 4)."""

    model: ModelConfig = key(ModelConfig, "")
    backbone: BackboneConfig = key(BackboneConfig, "")
    image: ImageConfig = key(ImageConfig, "")
    augmentation: AugmentationConfig = key(AugmentationConfig, "")
    labels: LabelsConfig = key(LabelsConfig, "")
    loss: LossConfig = key(LossConfig, "")
    optimizer: OptimizerConfig = key(OptimizerConfig, "")
    schedule: ScheduleConfig = key(ScheduleConfig, "")
    heads: HeadsConfig = key(HeadsConfig, "")
    decoder: DecoderConfig = key(DecoderConfig, "")
    teacher: str = key("", "the scene model whose latents `pose_autoencoder` learns to predict from poses")
    start_from: str = key("", "a scene model of the same architecture to start from, instead of random weights")
    epochs: int = key(300, "of stage 1; outdoors 600; 0: stage 2 alone, on `start_from`", PAPER, lowest=0)
    least_steps: int = key(
        0,
        "of stage 1: for few training frames, epochs, schedule and validate_every are stretched alike, unless epochs "
        "are given; 0: epochs as they are",
        lowest=0,
        highest=1e8,
    )
    batch_size: int = key(8, "images in a step, over all processes together", PAPER, lowest=1, highest=1e6)
    seed: int = key(0, "of weights, order, augmentation and dropout", lowest=0, highest=1e9)
    device: str = key("auto", "auto (CUDA where there is one), cpu or cuda", allowed=("auto", "cpu", "cuda"))
    precision: str = key("float32", "of everything but weights, heads and loss", allowed=("float32", "bfloat16"))
    cuda_graph: bool = key(True, "record the whole step once and replay it; CUDA only")
    deterministic: bool = key(False, "CUDA: the same weights every time, but slower; CPU runs always repeat to the bit")
    ema_decay: float = key(
        0.0,
        "of a moving average of the weights, validated and saved in their place; 0: none",
        lowest=0,
        highest=1,
    )
    validate_every: int = key(5, "epochs between two validations on the held-out frames", lowest=1)
    hold_out: bool = key(True, "hold out a tenth of the training track if the data set has no val frames")
    held_out_error: str = key(
        "",
        "if no frames are held out: a scene model of the same scene, trained with held-out frames, whose validation "
        "error is inherited; '': the error on the training frames, which is far too small",
    )
    keyframes: int = key(
        0,
        "at most so many small grey training images with depth are kept in the scene model, against which poses are "
        "refined; fewer where they cover the training frames; needs depth; 0: none",
        lowest=0,
        highest=100_000,
    )
    half_precision_weights: bool = key(False, "the scene model holds float16: half the size")
    cache_dir: str = key("", "of decoded images; '': $TRANSPOSENET_CACHE or the user's cache folder; none: no cache")
    workers: int = key(2, "threads that decode images before epoch 1; 0: the main thread only", lowest=0)

    def to_dict(self) -> dict:
        return dataclasses.asdict(self)


def leaves(config: typing.Any, prefix: str = "") -> Iterator[tuple[str, typing.Any, KeyInfo]]:
    """Dotted name, value and description of every key that is no group."""
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, f"{prefix}{item.name}.")
        else:
            yield prefix + item.name, value, item.metadata["info"]
