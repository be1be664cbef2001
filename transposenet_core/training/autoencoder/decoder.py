"""Training of the decoder: images from the latents that a trained auto-encoder predicts for the training poses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from transposenet_core.models.pose_autoencoder import PoseAutoencoder
from transposenet_core.models.pose_decoder import SIZE, PoseDecoder
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.progress import ProgressBar
from transposenet_core.training.batches import batches
from transposenet_core.training.config import TrainConfig
from transposenet_core.training.curves import Curves
from transposenet_core.training.data.pixels import PosedPixels
from transposenet_core.training.data.scene_pixels import SeenPoses
from transposenet_core.training.distributed import World
from transposenet_core.training.optimization import rate_factor, set_rate


def small_images(scenes: Sequence[PosedPixels], preprocessing: Preprocessing, device: torch.device) -> torch.Tensor:
    """The network's input windows, resized to (N, 3, 64, 64), RGB from 0 to 1, scene after scene."""
    parts = [
        F.interpolate(
            preprocessing.crop(part).float(), (SIZE, SIZE), mode="bilinear", antialias=True, align_corners=False
        )
        for pixels in scenes
        for part in pixels.image_N3HW.split(256)
    ]
    return torch.cat(parts).to(device).round() / 255


def learn_decoder(
    network: PoseAutoencoder,
    image_N3HW: torch.Tensor,
    known: SeenPoses,
    true_M3HW: torch.Tensor,
    ground_truth_poses: SeenPoses,
    config: TrainConfig,
    world: World,
    curves: Curves,
) -> None:
    """Add a decoder to the network and train it to render the training images from their poses, by the mean absolute
    error (L1) of RGB; all else is frozen. Prints its error on the validation poses and that of the mean image.

    Images are as `small_images` returns them: `image_N3HW` of the ``known`` poses, `true_M3HW` of the
    ``ground_truth_poses``.
    """
    device = image_N3HW.device
    with torch.no_grad():
        latents = network.latents(known.position_N3, known.orientation_N4, known.scene_N)
    latent_NC = torch.cat((latents["position_latent"], latents["orientation_latent"]), dim=-1)
    network.decoder = decoder = PoseDecoder(latent_NC.shape[1]).to(device)
    decoder.start_from(image_N3HW.mean(dim=0))
    epochs = config.decoder.epochs
    optimizer = torch.optim.Adam(decoder.parameters(), lr=config.decoder.learning_rate, fused=True)
    for epoch in ProgressBar(range(epochs), desc="decoder", unit="epoch", leave=False):
        set_rate(optimizer, config.decoder.learning_rate * rate_factor(epoch, epochs, config.schedule))
        for batch in batches(known.counts, config.batch_size, config.seed, config.epochs + epoch, world):
            index_B = batch.index_B.to(device)
            optimizer.zero_grad(set_to_none=True)
            loss = F.l1_loss(decoder(latent_NC[index_B]), image_N3HW[index_B])
            loss.backward()
            optimizer.step()
        curves.write(config.epochs + epoch + 1, "decoder", train_l1=loss.item())
    with torch.no_grad():
        drawn_M3HW = network.render(
            ground_truth_poses.position_N3, ground_truth_poses.orientation_N4, ground_truth_poses.scene_N
        )
    l1, plain = ((other - true_M3HW).abs().mean().item() for other in (drawn_M3HW, image_N3HW.mean(dim=0)))
    curves.write(config.epochs + epochs, "decoder", val_l1=l1, val_l1_mean_image=plain)
    print(f"decoder: L1 {l1:.4f} on the validation poses, {plain:.4f} of the mean image", flush=True)
