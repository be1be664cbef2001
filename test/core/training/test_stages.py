"""The second stage: exactly the intended parameters move, and a stage-1 model continues with the position prior."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_runs import arguments, figures, train

from transposenet_core.errors import UserError
from transposenet_core.models import build_model
from transposenet_core.scene_model import SceneModel
from transposenet_core.training.config import TrainConfig
from transposenet_core.training.config_reading import load_config
from transposenet_core.training.losses.pose import LearnedWeightPoseLoss
from transposenet_core.training.optimization import build_optimizer
from transposenet_core.training.stages import load_start, plan

CPU = torch.device("cpu")
TINY = {"layers": 1, "heads": 2, "width": 16, "mlp_width": 16, "head_width": 32, "image_size": (32, 32)}


def state_of(folder: Path) -> dict[str, torch.Tensor]:
    return SceneModel.load(folder).network.state_dict()


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    """The modules (first part of the name) in which a tensor differs."""
    assert before.keys() == after.keys()
    return {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])}


def test_the_plan_is_section_4() -> None:
    indoor = load_config("config/train/transposenet_indoor.yaml")
    assert [(s.learns, s.epochs, s.learning_rate, s.weight_decay, s.position_prior) for s in plan(indoor)] == [
        ("all", 300, 1e-4, 1e-4, False),
        ("position_head", 100, 1e-3, 1e-2, False),
        ("orientation_head", 100, 1e-3, 1e-2, False),
    ]
    outdoor = plan(load_config("config/train/transposenet_outdoor.yaml"))
    assert [stage.position_prior for stage in outdoor] == [False, True, True]
    assert outdoor[0].options({}) == {} and outdoor[2].options({}) == {"orientation_prior": True}


def test_s_x_and_s_q_are_learned_outside_weight_decay() -> None:
    config = TrainConfig()
    stage, network = plan(config)[0], build_model("transposenet", **TINY)
    loss = stage.build_loss(config, network)
    assert isinstance(loss, LearnedWeightPoseLoss)
    groups = build_optimizer(network, loss, stage, config.optimizer, CPU).param_groups
    assert [group["weight_decay"] for group in groups] == [1e-4, 0.0]
    assert {id(p) for p in groups[1]["params"]} == {id(loss.s_position), id(loss.s_orientation)}


def test_adamw_decays_matrices_and_kernels_alone() -> None:
    config = load_config(None, ["optimizer.kind=adamw"])
    stage, network = plan(config)[0], build_model("transposenet", **TINY)
    loss = stage.build_loss(config, network)
    optimizer = build_optimizer(network, loss, stage, config.optimizer, CPU)
    assert isinstance(optimizer, torch.optim.AdamW)
    decayed, kept = ({id(p) for p in group["params"]} for group in optimizer.param_groups)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [1e-4, 0.0]
    names = {id(p): name for name, p in [*network.named_parameters(), *loss.named_parameters()]}
    assert decayed | kept == set(names) and not decayed & kept
    without = {names[p] for p in kept}
    assert {"position_encoder.token", "position_encoder.position.rows", "s_position"} <= without
    assert all(name.endswith("weight") for name in map(names.get, decayed))
    assert not any("norm" in name or "_bn" in name for name in map(names.get, decayed))
    # Without a gradient what is decayed shrinks by rate x decay, and everything else stays.
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    for parameter in [*network.parameters(), *loss.parameters()]:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in network.named_parameters():
        factor = 1 - 1e-4 * 1e-4 if id(parameter) in decayed else 1
        torch.testing.assert_close(parameter, before[name] * factor, rtol=1e-7, atol=0)


@pytest.mark.parametrize("prior", [False, True])
def test_each_head_stage_moves_its_head_alone(small_scene: Path, tmp_path: Path, prior: bool) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert train(arguments(small_scene, first, "epochs=1")) == 0
    more = ["epochs=0", "heads.epochs=1", f"start_from={first}", f"heads.position_prior={str(prior).lower()}"]
    assert train(arguments(small_scene, second, *more)) == 0
    # The start is validated first, so a stage without an improvement keeps it.
    scores = figures(second, "val_score")
    assert len(scores) == 3 and SceneModel.load(second).provenance["stage"] == (
        "start_from"
        if min(scores) == scores[0]
        else "position_head"
        if min(scores) == scores[1]
        else "orientation_head"
    )
    # The checkpoint's network is the last stage's; it started from the best of the stage before.
    last = {
        key.removeprefix("network."): value
        for key, value in load_file(second / "checkpoint.safetensors").items()
        if key.startswith("network.")
    }
    before = state_of(first)
    wide = "orientation_head.0.weight"
    if prior:
        assert last[wide].shape[1] == 2 * before[wide].shape[1]
        assert last[wide][:, before[wide].shape[1] :].abs().max() > 0  # the gradient reached the prior's columns
        last[wide], before[wide] = last[wide][:, :1] * 0, before[wide][:, :1] * 0 + 1
    moved = changed(before, last)
    assert "orientation_head" in moved
    # Backbone, encoders, batch statistics: not one bit. The position head moved if its stage was kept.
    assert moved <= {"orientation_head", "position_head"}


def test_a_stage_1_model_with_a_prior_returns_the_same(small_scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "first"
    assert train(arguments(small_scene, out, "epochs=1")) == 0
    model = SceneModel.load(out)
    options = model.options | {"orientation_prior": True}
    wider = build_model("transposenet", **options).eval()
    load_start(wider, options, out)
    image = torch.randn(3, 3, 32, 40, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before, after = model.network(image), wider(image)
    for name in ("position", "orientation"):
        np.testing.assert_allclose(after[name], before[name], atol=1e-6)
    with pytest.raises(UserError, match="does not fit the configured one"):
        load_start(build_model("transposenet", **TINY), TINY, out)


def test_both_stages_in_one_run_report_what_each_gained(
    small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    assert train(arguments(small_scene, out, "epochs=2", "heads.epochs=2", "heads.position_prior=true")) == 0
    report = capsys.readouterr().out.split("scene model:")[1].splitlines()
    assert [line.strip().split(":")[0] for line in report[1:4]] == ["all", "position_head", "orientation_head"]
    assert all("better" in line or "no improvement" in line for line in report[2:4])
    model = SceneModel.load(out)
    assert model.options.get("orientation_prior", False) is (model.provenance["stage"] != "all")
    # The curves hold the rate that was taken, not the next epoch's.
    assert figures(out, "learning_rate")[-4:] == [1e-3] * 4


def test_a_stage_2_asked_for_later_is_reported_and_stage_1_is_over_then(
    small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out, more = tmp_path / "out", ["--resume", "--override"]
    assert train(arguments(small_scene, out, "epochs=1")) == 0
    assert train(arguments(small_scene, out, "epochs=1", "heads.epochs=1", *more)) == 0
    report = capsys.readouterr().out.rsplit("scene model:", 1)[1]
    assert "position_head: " in report and "orientation_head: " in report
    assert train(arguments(small_scene, out, "epochs=5", "heads.epochs=1", *more)) == 2
    assert "epochs was 1, is 5, but stage 1 is finished" in capsys.readouterr().err


def test_a_resume_never_takes_one_stages_state_for_anothers(
    small_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """With a stage put before them, the orientation head's moments would meet the position head's weights."""
    first, second = tmp_path / "first", tmp_path / "second"
    assert train(arguments(small_scene, first, "epochs=1")) == 0
    heads = [f"start_from={first}", "heads.epochs=1"]
    assert train(arguments(small_scene, second, "epochs=0", *heads)) == 0
    assert SceneModel.load(second).provenance["backbone"] == "from scratch"
    assert train(arguments(small_scene, second, "epochs=1", *heads, "--resume", "--override")) == 2
    assert "the run has started start_from, position_head, orientation_head, but" in capsys.readouterr().err


def test_a_stage_in_progress_resumes_without_the_scene_model(small_scene: Path, tmp_path: Path) -> None:
    """A power cut between the renames of its two files leaves one that cannot be read; the checkpoint has it all."""
    out = tmp_path / "out"
    assert train(arguments(small_scene, out, "epochs=1", "heads.epochs=1")) == 0
    (out / "scene.json").write_text("{}")
    assert train(arguments(small_scene, out, "epochs=1", "heads.epochs=2", "--resume", "--override")) == 0


def test_a_start_with_another_number_of_heads_is_refused(small_scene: Path, tmp_path: Path) -> None:
    """The shapes are the same for any number of heads, what the weights mean is not."""
    out = tmp_path / "out"
    assert train(arguments(small_scene, out, "epochs=1")) == 0
    options = SceneModel.load(out).options | {"heads": 8}
    with pytest.raises(UserError, match=r"trained with 4 heads, 8 are configured; give model.options.heads=4"):
        load_start(build_model("transposenet", **options), options, out)


def test_a_second_stage_names_where_the_backbone_is_from(small_scene: Path, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("given", "first", "second")]
    assert train(arguments(small_scene, folders[0], "epochs=1")) == 0
    assert train(arguments(small_scene, folders[1], "epochs=1", f"backbone.weights={folders[0]}")) == 0
    assert train(arguments(small_scene, folders[2], "epochs=0", "heads.epochs=1", f"start_from={folders[1]}")) == 0
    first, second = (SceneModel.load(folder).provenance["backbone"] for folder in folders[1:])
    assert second == first and "sha256" in first
