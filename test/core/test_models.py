"""TransPoseNet at its defaults: each asserted fact stands beside the paper's words for it."""

import math

import pytest
import torch
from efficientnet_pytorch import EfficientNet

from transposenet_core.errors import UserError
from transposenet_core.losses import LearnedWeightPoseLoss
from transposenet_core.models import build_model, default_options, model_names
from transposenet_core.models.backbone import EfficientNetEndpoints, map_size


def test_it_has_the_papers_size_and_shapes() -> None:
    model = build_model("transposenet").eval()
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(6.19, abs=0.01)
    with torch.inference_mode():
        output = model(torch.rand(2, 3, 224, 224))
        maps = model.backbone(torch.rand(2, 3, 224, 224))
    assert (output["position"].shape, output["orientation"].shape) == ((2, 3), (2, 4))
    torch.testing.assert_close(output["orientation"].norm(dim=-1), torch.ones(2))
    # 3.3: "m_rdct4 in R^(14x14x112) and m_rdct3 in R^(28x28x40)"
    assert (maps[4].shape, maps[3].shape) == ((2, 112, 14, 14), (2, 40, 28, 28))
    # 3.1: E_in has H_m W_m + 1 entries
    assert len(model.position_encoder.position()) == 197
    assert len(model.orientation_encoder.position()) == 785
    # 3.3: "six blocks and a dropout of p = 0.1 ... an MHA layer with four heads"
    options = default_options("transposenet")
    assert (options["layers"], options["heads"], options["width"], options["dropout"]) == (6, 4, 256, 0.1)


@pytest.mark.parametrize("size", [(224, 224), (97, 131), (256, 341)])
def test_end_points_equal_the_uncut_network(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    whole = EfficientNet.from_name("efficientnet-b0", image_size=None).eval()
    cut = EfficientNetEndpoints().eval()
    names = {"stem": "_conv_stem", "stem_norm": "_bn0", "blocks": "_blocks"}
    state = whole.state_dict()
    cut.load_state_dict({k: state[".".join([names[k.split(".")[0]], *k.split(".")[1:]])] for k in cut.state_dict()})
    image = torch.rand(1, 3, *size)
    with torch.inference_mode():
        expected, found = whole.extract_endpoints(image), cut(image)
    for level in (3, 4):
        torch.testing.assert_close(found[level], expected[f"reduction_{level}"], atol=1e-6, rtol=1e-5)
        assert tuple(found[level].shape[-2:]) == map_size(size, level)
    # "drop-connect is scaled by the number of blocks (16)": block 10 of the cut network keeps 0.2 * 10 / 16
    assert cut.drop_connect[10] == pytest.approx(0.2 * 10 / 16)


def test_token_comes_first_and_has_a_position_of_its_own() -> None:
    encoding = build_model("transposenet", image_size=(64, 96)).position_encoder.position
    table = encoding()
    # 3.1: "The pose token is assigned with position (0, 0) and the embedding vectors (E_x^0, E_y^0)"
    torch.testing.assert_close(table[0], torch.cat((encoding.columns[0], encoding.rows[0])))
    # Eq. 2: cell (i, j) is [E_x^j, E_y^i]; here row 2, column 3 of a map that is 6 wide
    torch.testing.assert_close(table[1 + 1 * 6 + 2], torch.cat((encoding.columns[3], encoding.rows[2])))


def test_gradients_reach_every_parameter_and_moving_the_picture_moves_the_answer() -> None:
    torch.manual_seed(0)
    model = build_model("transposenet", image_size=(64, 96), layers=2)
    loss = LearnedWeightPoseLoss()
    output = model(torch.rand(4, 3, 64, 96))
    loss(output, torch.zeros(4, 3), torch.tensor([[1.0, 0, 0, 0]]).expand(4, 4))["loss"].backward()
    without = [
        n for n, p in [*model.named_parameters(), *loss.named_parameters()] if p.grad is None or not p.grad.any()
    ]
    # A key's bias shifts all scores of a query alike, so its gradient is 0 in exact arithmetic; nothing else may be.
    assert [name for name in without if not name.endswith("query_key.bias")] == []
    model.eval()
    with torch.inference_mode():
        a, b = model(torch.rand(1, 3, 64, 96)), model(torch.rand(1, 3, 64, 96))
    assert (a["position"] - b["position"]).abs().max() > 0


def test_a_few_steps_on_a_batch_fit_it() -> None:
    torch.manual_seed(0)
    model = build_model(
        "transposenet", image_size=(32, 48), layers=1, width=32, mlp_width=32, head_width=64, dropout=0.0
    )
    loss = LearnedWeightPoseLoss()
    optimizer = torch.optim.Adam([*model.parameters(), *loss.parameters()], lr=3e-3)
    image, position = torch.rand(6, 3, 32, 48), torch.randn(6, 3)
    orientation = torch.nn.functional.normalize(torch.randn(6, 4), dim=-1)
    terms = []
    for _ in range(40):
        terms.append(loss(model(image), position, orientation))
        optimizer.zero_grad()
        terms[-1]["loss"].backward()
        optimizer.step()
    assert terms[-1]["position"] < 0.5 * terms[0]["position"]
    assert terms[-1]["orientation"] < 0.5 * terms[0]["orientation"]


def test_untrained_heads_answer_the_mean_pose() -> None:
    model = build_model("transposenet", image_size=(64, 96), layers=1).eval()
    model.start_from(torch.tensor([30.0, -20, 10]), torch.tensor([0.5, 0.5, -0.5, 0.5]))
    with torch.inference_mode():
        output = model(torch.rand(1, 3, 64, 96))
    torch.testing.assert_close(output["position"], torch.tensor([[30.0, -20, 10]]), atol=2.0, rtol=0)
    model.start_from(torch.zeros(3), torch.tensor([0.0, 0, 1000, 0]))
    with torch.inference_mode():
        output = model(torch.rand(1, 3, 64, 96))
    torch.testing.assert_close(output["orientation"], torch.tensor([[0.0, 0, 1, 0]]), atol=0.01, rtol=0)


def test_eq_3_to_5_of_the_loss() -> None:
    loss = LearnedWeightPoseLoss(0.5, -3.0)
    output = {"position": torch.tensor([[1.0, 2, 2]]), "orientation": torch.tensor([[0.0, 1, 0, 0]])}
    terms = loss(output, torch.zeros(1, 3), torch.tensor([[1.0, 0, 0, 0]]))
    assert terms["position"].item() == pytest.approx(3.0)  # Eq. 3
    assert terms["orientation"].item() == pytest.approx(math.sqrt(2))  # Eq. 4
    expected = 3 * math.exp(-0.5) + 0.5 + math.sqrt(2) * math.exp(3) - 3  # Eq. 5
    assert terms["loss"].item() == pytest.approx(expected, rel=1e-6)


def test_bfloat16_keeps_the_heads_exact() -> None:
    model = build_model("transposenet", image_size=(64, 96), layers=1).eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        output = model(torch.rand(1, 3, 64, 96))
    assert output["position"].dtype == torch.float32
    assert not torch.equal(output["position"], output["position"].bfloat16().float())


def test_wrong_names_options_and_sizes_are_refused() -> None:
    assert "transposenet" in model_names()
    with pytest.raises(ValueError, match="unknown model 'posenett', known models: .*transposenet"):
        build_model("posenett")
    with pytest.raises(UserError, match="no option 'layer'.*did you mean 'layers'"):
        build_model("transposenet", layer=3)
    with pytest.raises(ValueError, match=r"this model takes \(64, 96\)"):
        build_model("transposenet", image_size=(64, 96), layers=1)(torch.rand(1, 3, 96, 64))
