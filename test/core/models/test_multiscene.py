"""Several scenes in one network, and clusters within each: shapes, gradients, what is chosen, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from some_labels import labels

from transposenet_core.errors import UserError
from transposenet_core.geometry.intrinsics import Intrinsics
from transposenet_core.geometry.pose import rotation_angle_deg
from transposenet_core.geometry.pose_averaging import mean_over_views
from transposenet_core.localizer import Localizer
from transposenet_core.models import build_model, default_options, describe_option
from transposenet_core.models.pose_clusters import orientation_clusters, plausible_positions, position_clusters
from transposenet_core.preprocessing import Preprocessing
from transposenet_core.scene_model import DESCRIPTION, HeldOutError, KnownFrames, MappedScene, SceneModel
from transposenet_core.training.config import LossConfig
from transposenet_core.training.losses.registry import LOSSES

NARROW = {"encoder_layers": 1, "decoder_layers": 2, "heads": 2, "width": 32, "mlp_width": 32, "head_width": 64}
NARROW |= {"image_size": (64, 96), "dropout": 0.0, "drop_connect": 0.0}


def some_poses(count: int, seed: int, away: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rotations = Rotation.from_euler("zyx", rng.uniform(-60, 60, (count, 3)), degrees=True)
    return rng.uniform(-3, 3, (count, 3)) + away, rotations.as_quat(scalar_first=True, canonical=True)


def network_of(name: str = "coarse_to_fine", scenes: int = 3, **options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    network = build_model(name, **(NARROW | {"scenes": scenes} | options))
    network.start_from_poses([some_poses(40, seed, 10.0 * seed) for seed in range(scenes)])
    return network


@pytest.mark.parametrize("name", ["multiscene_transformer", "coarse_to_fine"])
def test_shapes_and_what_is_chosen(name: str) -> None:
    clusters = {"position_clusters": 4, "orientation_clusters": 3} if name == "coarse_to_fine" else {}
    kx, kq = (4, 3) if clusters else (1, 1)
    with torch.inference_mode():
        output = network_of(name, **clusters).eval()(torch.rand(5, 3, 64, 96))
    shapes = {key: tuple(value.shape) for key, value in output.items()}
    assert shapes == {
        "position": (5, 3),
        "orientation": (5, 4),
        "scene": (5,),
        "scene_log_probability": (5, 3),
        "scene_positions": (5, 3, 3),
        "scene_orientations": (5, 3, 4),
        "position_cluster_log_probability": (5, 3, kx),
        "orientation_cluster_log_probability": (5, 3, kq),
        "cluster_positions": (5, 3, kx, 3),
        "cluster_orientations": (5, 3, kq, 4),
    }
    for log_probability in (value for key, value in output.items() if key.endswith("log_probability")):
        torch.testing.assert_close(log_probability.exp().sum(-1), torch.ones(log_probability.shape[:-1]))
    torch.testing.assert_close(output["cluster_orientations"].norm(dim=-1), torch.ones(5, 3, kq))
    for b in range(5):
        scene = int(output["scene_log_probability"][b].argmax())
        x = int(output["position_cluster_log_probability"][b, scene].argmax())
        q = int(output["orientation_cluster_log_probability"][b, scene].argmax())
        assert output["scene"][b] == scene
        assert torch.equal(output["position"][b], output["cluster_positions"][b, scene, x])
        assert torch.equal(output["orientation"][b], output["cluster_orientations"][b, scene, q])
    assert all(describe_option(name, option) for option in default_options(name))


@pytest.mark.parametrize("clusters", [{}, {"position_clusters": 3, "orientation_clusters": 2}])
def test_every_parameter_gets_a_gradient_and_dropout_is_off_when_running(clusters: dict) -> None:
    network = network_of(**({"position_clusters": 1, "orientation_clusters": 1} | clusters), dropout=0.1).train()
    position, orientation = (torch.from_numpy(v).float() for v in some_poses(6, 9))
    loss = LOSSES["scenes"](LossConfig(), network)
    terms = loss(network(torch.rand(6, 3, 64, 96)), labels(position, orientation, None, torch.arange(6) % 3))
    assert tuple(terms) == loss.TERMS and len(terms) == (6 if clusters else 4)
    terms["loss"].backward()
    parameters = [*network.named_parameters(), *loss.named_parameters()]
    assert [n for n, p in parameters if p.grad is None or not p.grad.abs().sum() > 1e-7] == []
    image = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        first, again = (network.eval()(image) for _ in "12")
    assert all(torch.equal(first[key], again[key]) for key in first)


def test_the_loss_reads_the_true_scene_and_cluster_whatever_the_network_prefers() -> None:
    network = network_of(position_clusters=2, orientation_clusters=2)
    output = network.eval()(torch.rand(4, 3, 64, 96))
    loss = LOSSES["scenes"](LossConfig(s_position=0.0, s_orientation=0.0), network)
    scene = torch.tensor([2, 0, 1, 1])
    x, q = torch.tensor([1, 0, 0, 1]), torch.tensor([0, 1, 0, 1])
    rows = torch.arange(4)
    position = network.position.centre_SKP[scene, x] + 0.01
    orientation = -network.orientation.centre_SKP[scene, q]  # the other sign of the same rotation
    terms = loss(output, labels(position, orientation, None, scene))
    x_error = (output["cluster_positions"][rows, scene, x] - position).norm(dim=-1).mean()
    q_error = (output["cluster_orientations"][rows, scene, q] + orientation).norm(dim=-1).mean()
    torch.testing.assert_close(terms["position"], x_error)
    torch.testing.assert_close(terms["orientation"], q_error)
    nll = -output["scene_log_probability"][rows, scene].mean()
    torch.testing.assert_close(terms["scene"], nll)
    x_nll = -output["position_cluster_log_probability"][rows, scene, x].mean()
    q_nll = -output["orientation_cluster_log_probability"][rows, scene, q].mean()
    torch.testing.assert_close(terms["position_cluster"], x_nll)
    torch.testing.assert_close(terms["orientation_cluster"], q_nll)
    torch.testing.assert_close(terms["loss"], x_error + q_error + nll + x_nll + q_nll)


def test_untrained_answers_lie_at_the_scenes_mean_poses_however_far_apart() -> None:
    network = network_of("multiscene_transformer").eval()
    output = network(torch.rand(2, 3, 64, 96))
    for scene in range(3):
        mean = torch.from_numpy(some_poses(40, scene, 10.0 * scene)[0].mean(axis=0)).float()
        torch.testing.assert_close(output["scene_positions"][:, scene], mean.expand(2, 3), atol=1.0, rtol=0)


@pytest.mark.parametrize("name", ["multiscene_transformer", "coarse_to_fine"])
def test_the_latents_of_a_scene_hold_its_answer(name: str) -> None:
    """Of the likeliest scene what `forward` answers, of another one what it answers of that."""
    network, image = network_of(name).eval(), torch.rand(4, 3, 64, 96)
    with torch.inference_mode():
        whole, alone = network(image), network.regress(network.encode(image))
        other_B = (whole["scene"] + 1) % 3
        with_scene = network.regress(network.encode(image, scene_B=other_B))
    for key in ("position", "orientation", "scene", "scene_log_probability"):
        torch.testing.assert_close(alone[key], whole[key], rtol=0, atol=1e-6)
    rows = torch.arange(4)
    torch.testing.assert_close(with_scene["position"], whole["scene_positions"][rows, other_B], rtol=0, atol=1e-6)
    torch.testing.assert_close(with_scene["orientation"], whole["scene_orientations"][rows, other_B], rtol=0, atol=1e-6)
    assert (with_scene["position"] - whole["position"]).norm(dim=-1).min() > 1e-3 and torch.equal(
        with_scene["scene"], other_B
    )


def test_another_image_size_is_taken() -> None:
    with torch.inference_mode():
        output = network_of("multiscene_transformer").eval()(torch.rand(1, 3, 90, 131))
    assert output["position"].shape == (1, 3)


def test_one_row_of_three_million_kilometres_is_no_cluster() -> None:
    positions_N3, _ = some_poses(300, 0)
    far_N3 = np.concatenate([positions_N3, [[3.1e9, 0, 0]]])
    assert plausible_positions(far_N3).sum() == 300 and not plausible_positions(far_N3)[-1]
    network = build_model("coarse_to_fine", **(NARROW | {"position_clusters": 3}))
    orientations_N4 = some_poses(301, 1)[1]
    network.start_from_poses([(far_N3, orientations_N4)])
    assert network.position.centre_SKP.abs().max() < 4
    np.testing.assert_allclose(
        network.position.centre_SKP[0], position_clusters(positions_N3, 3), atol=1e-6
    )  # as without that row


def test_a_second_room_far_away_is_no_outlier() -> None:
    rooms = np.concatenate([some_poses(800, 0)[0], some_poses(200, 1, away=60.0)[0]])
    assert plausible_positions(rooms).all()
    centres_K3 = position_clusters(rooms, 2)
    assert sorted(np.linalg.norm(centres_K3, axis=1).round(-1)) == [0, 100]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.integers(0, 1000), st.booleans())
def test_orientation_centres_do_not_depend_on_signs(clusters: int, seed: int, canonical: bool) -> None:
    rng = np.random.default_rng(seed)
    q_N4 = Rotation.random(60, random_state=seed).as_quat(scalar_first=True, canonical=canonical)
    centres_K4 = orientation_clusters(q_N4, clusters)
    flipped_K4 = orientation_clusters(q_N4 * rng.choice([-1, 1], (60, 1)), clusters)
    np.testing.assert_allclose(np.linalg.norm(centres_K4, axis=1), 1)
    assert rotation_angle_deg(centres_K4, flipped_K4).max() < 1e-4
    assert (centres_K4[:, 0] >= 0).all()


def test_t11_what_cannot_be_clustered_is_one_sentence() -> None:
    positions_N3 = np.repeat(some_poses(3, 0)[0], 5, axis=0)
    with pytest.raises(ValueError, match="4 position clusters are asked for, the training frames have 3 different"):
        position_clusters(positions_N3, 4)
    with pytest.raises(ValueError, match="set model.options.orientation_clusters to at most 1"):
        orientation_clusters(np.array([[1.0, 0, 0, 0], [-1, 0, 0, 0]]), 2)  # one rotation twice
    along_x = np.array([0, 1e-5, 1e5, 1e5 + 1e-4] * 3)  # different, but not by what k-means can tell
    with pytest.raises(ValueError, match="1 of 4 position clusters stay empty; set .*position_clusters to 3"):
        position_clusters(np.stack([along_x, 0 * along_x, 0 * along_x], axis=1), 4)
    with pytest.raises(ValueError, match="scene 2 of 2: 3 position clusters are asked for, .* have 1 different"):
        standing = np.zeros((9, 3)), some_poses(9, 1)[1]
        build_model("coarse_to_fine", **(NARROW | {"scenes": 2, "position_clusters": 3})).start_from_poses(
            [some_poses(9, 0), standing]
        )
    with pytest.raises(ValueError, match="2 scenes are given, the network is for 3"):
        build_model("multiscene_transformer", **(NARROW | {"scenes": 3})).start_from_poses([some_poses(9, 0)] * 2)
    with pytest.raises(ValueError, match="position_clusters is 0, a whole number from 1 to 100"):
        build_model("coarse_to_fine", **(NARROW | {"position_clusters": 0}))
    with pytest.raises(UserError, match="model 'coarse_to_fine' has no option 'position_cluster'; did|has no option"):
        build_model("coarse_to_fine", position_cluster=2)


def test_an_images_views_are_averaged_in_one_scene() -> None:
    """Two images of three views each; one view of the second prefers another scene than its neighbours."""
    probability = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.1, 0.9], [0.2, 0.8], [0.6, 0.4]])
    positions = torch.rand(6, 2, 3)
    orientations = torch.nn.functional.normalize(torch.tensor([1.0, 0, 0, 0]) + 0.1 * torch.rand(6, 2, 4), dim=-1)
    rows, scene = torch.arange(6), probability.argmax(-1)
    output = {"position": positions[rows, scene], "orientation": orientations[rows, scene], "scene": scene}
    output |= {"scene_log_probability": probability.log()}
    output |= {"scene_positions": positions, "scene_orientations": orientations}
    mean = mean_over_views(output, images=2)
    assert mean["scene"].tolist() == [0, 1]
    torch.testing.assert_close(mean["position"], torch.stack((positions[:3, 0].mean(0), positions[3:, 1].mean(0))))
    torch.testing.assert_close(mean["scene_log_probability"].exp()[:, 0], torch.tensor([0.7, 0.3]))
    assert rotation_angle_deg(mean["orientation"][1], orientations[3:, 1].mean(0)) < 0.1
    assert mean_over_views(output, images=6) is output


def two_scene_model(folder: Path, name: str = "coarse_to_fine") -> SceneModel:
    """Random weights, two scenes with all that belongs to one."""
    options = NARROW | {"scenes": 2, "image_size": [64, 96]}
    torch.manual_seed(1)
    network = build_model(name, **options)
    poses = [some_poses(30, 0), some_poses(40, 1, 100.0)]
    network.start_from_poses(poses)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    network.train()(torch.rand(4, 3, 64, 96))  # batch norm has seen images, or all latents would be alike
    camera = Intrinsics(640, 480, 525.0, 525.0, 320.0, 240.0, "made up", rectified=True)
    desk, office = (
        MappedScene(
            scene,
            f"{scene}_map",
            HeldOutError((k, 1.0, 1.0), (0.1, 0.1, k), f"{k} frames"),
            camera,
            KnownFrames.trained_on(*pose),
        )
        for (k, scene), pose in zip(((1, "desk"), (2, "office")), poses, strict=True)
    )
    model = SceneModel(
        architecture=name,
        options=options,
        preprocessing=Preprocessing(64, (64, 96)),
        network=network,
        scenes=(desk, office),
    )
    model.save(folder)
    return model


def test_a_model_of_two_scenes_reads_back_to_the_bit(tmp_path: Path) -> None:
    made = two_scene_model(tmp_path)
    read = SceneModel.load(tmp_path)
    assert read.title == "desk + office" and [s.map_frame for s in read.scenes] == ["desk_map", "office_map"]
    desk, office = read.scenes
    assert read.camera == desk.intrinsics is not None
    other = replace(office, intrinsics=replace(desk.intrinsics, fx=500.0))
    assert replace(read, scenes=(desk, other)).camera is None  # which of the two is live is not known beforehand
    for mine, theirs in zip(read.scenes, made.scenes, strict=True):
        assert (mine.name, mine.held_out_error, mine.intrinsics) == (
            theirs.name,
            theirs.held_out_error,
            theirs.intrinsics,
        )
        np.testing.assert_array_equal(mine.training_positions_N3, theirs.training_positions_N3)
        np.testing.assert_array_equal(mine.training_orientations_N4, theirs.training_orientations_N4)
    for key, value in made.network.state_dict().items():
        torch.testing.assert_close(read.network.state_dict()[key], value, atol=0, rtol=0)
    made.save(tmp_path / "half", half_precision=True)
    half = SceneModel.load(tmp_path / "half").network.state_dict()
    assert torch.equal(half["position.centre_SKP"], made.network.state_dict()["position.centre_SKP"])


def test_the_localizer_answers_in_the_map_of_the_scene_it_found(tmp_path: Path) -> None:
    two_scene_model(tmp_path)
    localizer = Localizer(tmp_path, device="cpu")
    image_HW3 = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    found = set()
    for factor in (1e3, -1.0):
        with torch.inference_mode():
            localizer.scene_model.network.scene.weight.mul_(factor)
            output = localizer.scene_model.network(localizer.scene_model.preprocessing(image_HW3))
        estimate = localizer.localize(image_HW3)
        number = int(output["scene"])
        found.add(number)
        assert (estimate.scene, estimate.map_frame) == (("desk", "desk_map"), ("office", "office_map"))[number]
        assert estimate.scene_probability == pytest.approx(float(output["scene_log_probability"].exp().max()))
        assert 0.5 <= estimate.scene_probability <= 1
        np.testing.assert_allclose(estimate.pose.position, output["position"][0], atol=1e-6)
        assert (np.abs(estimate.pose.position) < 20).all() == (number == 0)  # the office lies 100 m away
        np.testing.assert_allclose(np.diag(estimate.covariance_66), np.square([number + 1, 1, 1, 0.1, 0.1, number + 1]))
        assert f"{number + 1} frames" in estimate.covariance_source
    assert found == {0, 1}


@pytest.mark.parametrize("damage", ["scene", "poses"])
def test_n29_a_model_that_lacks_a_scene_is_named(tmp_path: Path, damage: str) -> None:
    two_scene_model(tmp_path)
    text = json.loads((tmp_path / DESCRIPTION).read_text())
    scenes = text["scenes"][:1] if damage == "scene" else [*text["scenes"], text["scenes"][0]]
    (tmp_path / DESCRIPTION).write_text(json.dumps(text | {"scenes": scenes}))
    with pytest.raises(UserError, match=f"{len(scenes)} scenes are described, the network is for 2"):
        SceneModel.load(tmp_path)
