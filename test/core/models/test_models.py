"""TransPoseNet at its defaults: each asserted fact stands beside the paper's words for it."""

import copy
import math

import pytest
import torch
from efficientnet_pytorch import EfficientNet
from some_labels import labels

from transposenet_core.errors import UserError
from transposenet_core.geometry.quaternions import product
from transposenet_core.models import build_model, default_options, model_names
from transposenet_core.models.backbone import EfficientNetEndpoints, map_size
from transposenet_core.training.losses.pose import LearnedWeightPoseLoss, rotation_distance


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
    assert len(model.position_encoder.position((14, 14))) == 197
    assert len(model.orientation_encoder.position((28, 28))) == 785
    # 3.3: "six blocks and a dropout of p = 0.1 ... an MHA layer with four heads"
    options = default_options("transposenet")
    assert (options["layers"], options["heads"], options["width"], options["dropout"]) == (6, 4, 256, 0.1)


@pytest.mark.parametrize("size", [(224, 224), (97, 131), (256, 341), (113, 77)])
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
    table = encoding((4, 6))
    # 3.1: "The pose token is assigned with position (0, 0) and the embedding vectors (E_x^0, E_y^0)"
    torch.testing.assert_close(table[0], torch.cat((encoding.columns[0], encoding.rows[0])))
    # Eq. 2: cell (i, j) is [E_x^j, E_y^i]; here row 2, column 3 of a map that is 6 wide
    torch.testing.assert_close(table[1 + 1 * 6 + 2], torch.cat((encoding.columns[3], encoding.rows[2])))


def test_gradients_reach_every_parameter_and_the_image_changes_the_output() -> None:
    torch.manual_seed(0)
    model = build_model("transposenet", image_size=(64, 96), layers=2)
    loss = LearnedWeightPoseLoss()
    output = model(torch.rand(4, 3, 64, 96))
    loss(output, labels(torch.zeros(4, 3), torch.tensor([[1.0, 0, 0, 0]]).expand(4, 4)))["loss"].backward()
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
        terms.append(loss(model(image), labels(position, orientation)))
        optimizer.zero_grad()
        terms[-1]["loss"].backward()
        optimizer.step()
    assert terms[-1]["position"] < 0.5 * terms[0]["position"]
    assert terms[-1]["orientation"] < 0.5 * terms[0]["orientation"]


def test_untrained_heads_return_the_mean_pose() -> None:
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
    terms = loss(output, labels(torch.zeros(1, 3), torch.tensor([[1.0, 0, 0, 0]])))
    assert terms["position"].item() == pytest.approx(3.0)  # Eq. 3
    assert terms["orientation"].item() == pytest.approx(math.sqrt(2))  # Eq. 4
    expected = 3 * math.exp(-0.5) + 0.5 + math.sqrt(2) * math.exp(3) - 3  # Eq. 5
    assert terms["loss"].item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", ["quaternion", "sign_invariant", "geodesic"])
@pytest.mark.parametrize("angle", [0.0, 0.1, 1.0, 2.0])
def test_rotation_losses_of_a_known_angle(kind: str, angle: float) -> None:
    label = torch.nn.functional.normalize(torch.tensor([[0.3, -0.5, 0.2, 0.7]]), dim=-1)
    rotation = torch.tensor([[math.cos(angle / 2), 0.0, math.sin(angle / 2), 0.0]])
    output = product(label, rotation).requires_grad_()
    chord, half = 2 * math.sin(angle / 4), angle / 2
    expected = {"quaternion": chord, "sign_invariant": chord, "geodesic": half}[kind]
    distance = rotation_distance(kind, output, label)
    assert distance.item() == pytest.approx(expected, abs=1e-6)
    assert rotation_distance(kind, -output, label).item() == pytest.approx(
        math.sqrt(4 - chord**2) if kind == "quaternion" else expected, abs=1e-6
    )
    distance.sum().backward()
    assert torch.isfinite(output.grad).all()  # at the label itself as well


def test_bfloat16_keeps_the_heads_exact() -> None:
    model = build_model("transposenet", image_size=(64, 96), layers=1).eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        output = model(torch.rand(1, 3, 64, 96))
    assert output["position"].dtype == torch.float32
    assert not torch.equal(output["position"], output["position"].bfloat16().float())


def test_wrong_names_options_and_sizes_are_refused() -> None:
    assert "transposenet" in model_names()
    with pytest.raises(UserError, match=r"unknown model 'posenett', known models: .*; did you mean 'posenet'\?"):
        build_model("posenett")
    with pytest.raises(UserError, match="no option 'layer'.*did you mean 'layers'"):
        build_model("transposenet", layer=3)
    with pytest.raises(ValueError, match="backbone is 'efficientnet-b9', one of efficientnet-b0"):
        build_model("transposenet", backbone="efficientnet-b9")
    with pytest.raises(ValueError, match="position_level is 6, a whole number from 1 to 5"):
        build_model("transposenet", position_level=6)


@pytest.mark.parametrize(
    "options",
    [
        {"backbone": "efficientnet-b1"},
        {"position_level": 3, "orientation_level": 4},
        {"position_level": 4, "orientation_level": 4},
        {"position_level": 5, "orientation_level": 2},
        {
            "orientation_prior": True,
            "heads": 8,
            "width": 64,
            "mlp_width": 32,
            "head_width": 48,
            "attention_dropout": 0.1,
        },
    ],
    ids=lambda o: "-".join(map(str, o.values())),
)
def test_every_option_builds_a_model_for_any_image_size(options: dict) -> None:
    model = build_model("transposenet", image_size=(64, 96), layers=1, **options)
    for size in ((64, 96), (97, 71)):
        output = model(torch.rand(2, 3, *size))
        assert (output["position"].shape, output["orientation"].shape) == ((2, 3), (2, 4))
        assert torch.isfinite(output["position"]).all()


@pytest.mark.parametrize("options", [{}, {"latents": 0, "orientation_stride": 2}], ids=["latents", "strided"])
def test_the_fast_network_has_fewer_tokens_and_takes_any_image_size(options: dict) -> None:
    model = build_model("transposenet_fast", image_size=(96, 128), **options)
    layers = model.orientation_encoder.layers
    updated = []  # entries that the first layer updates, of all that it reads
    layers[0].register_forward_hook(lambda _, given, new: updated.append((new.shape[1], given[0].shape[1])))
    for size in ((96, 128), (97, 71)):
        output = model.eval()(torch.rand(2, 3, *size), with_attention=True)
        torch.testing.assert_close(output["orientation"].norm(dim=-1), torch.ones(2))
        assert 0 < output["orientation_attention"].sum() <= 2
    # 12 x 16 cells: 8 latents read them all, or one token and 6 x 8 strided cells attend to each other.
    assert updated[0] == ((49, 49) if options else (8, 200))
    assert {module.p for layer in layers for module in layer.mlp if isinstance(module, torch.nn.Dropout)} == {0.0}


def test_latents_never_change_the_cells_and_learn_apart() -> None:
    torch.manual_seed(0)
    model = build_model("transposenet_fast", image_size=(64, 64), dropout=0.0)
    model(torch.rand(2, 3, 64, 64))["position"].sum().backward()
    gradient = model.position_encoder.token.grad[0]
    assert (gradient.norm(dim=-1) > 0).all() and not torch.allclose(gradient[0], gradient[1])


def test_tables_interpolate_and_keep_the_tokens_entry() -> None:
    encoding = build_model("transposenet", image_size=(64, 96), layers=1).position_encoder.position
    with torch.no_grad():
        encoding.rows[1:] = torch.linspace(0, 1, 4)[:, None]
        encoding.columns[1:] = torch.linspace(2, 3, 6)[:, None]
        stretched = encoding((8, 12))
        torch.testing.assert_close(stretched[0], encoding((4, 6))[0])
        rows, columns = stretched[1:, 128:].unflatten(0, (8, 12)), stretched[1:, :128].unflatten(0, (8, 12))
    assert (rows[1:, 0, 0] >= rows[:-1, 0, 0]).all() and rows[:, :, 0].std(dim=1).max() == 0
    torch.testing.assert_close(columns[0, 5:7, 0].mean(), torch.tensor(2.5))


def test_attention_on_request_is_the_last_layers_and_changes_no_pose() -> None:
    torch.manual_seed(0)
    model = build_model("transposenet", image_size=(64, 96), layers=2).eval()
    image = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        plain, output = model(image), model(image, with_attention=True)
        torch.testing.assert_close(output["position"], plain["position"], rtol=0, atol=0)
        assert (output["position_attention"].shape, output["orientation_attention"].shape) == ((2, 4, 6), (2, 8, 12))
        # The weights, applied by hand, give what fused attention gives the token.
        encoder, layer = model.position_encoder, model.position_encoder.layers[-1]
        cells = encoder.project(model.backbone(image)[4]).flatten(2).transpose(1, 2)
        x = torch.cat((encoder.token.expand(2, -1, -1), cells), dim=1)
        x = encoder.layers[0](x, encoder.position((4, 6)))
        weights = layer.token_attention(x, encoder.position((4, 6)))
        torch.testing.assert_close(weights.sum(dim=1), torch.ones(2))
        torch.testing.assert_close(weights[:, 1:].unflatten(1, (4, 6)), output["position_attention"])
        layer.heads = 1
        value, weights = layer.value(layer.norm_attention(x)), layer.token_attention(x, encoder.position((4, 6)))
        by_hand = x[:, 0] + layer.out((weights[:, :, None] * value).sum(dim=1))
        by_hand = by_hand + layer.mlp(layer.norm_mlp(by_hand))
        torch.testing.assert_close(layer(x, encoder.position((4, 6)))[:, 0], by_hand, atol=1e-5, rtol=1e-5)


def test_the_papers_words_on_the_encoder() -> None:
    torch.manual_seed(0)
    model = build_model("transposenet", image_size=(64, 96), layers=2).eval()
    encoder = model.position_encoder
    layer, position = encoder.layers[0], encoder.position((4, 6))
    x = torch.randn(1, 25, 256)
    with torch.inference_mode():
        # "The input is passed through a LayerNorm before each module (MHA/MLP) and added back to the output with
        # residual connections": without the attention's output, what a layer adds feels neither shift nor scale.
        silent = copy.deepcopy(layer)
        silent.out.weight.zero_()
        silent.out.bias.zero_()
        added = silent(x, position) - x
        torch.testing.assert_close(silent(10 * x + 3, position) - (10 * x + 3), added, atol=1e-4, rtol=1e-3)
        assert added.abs().max() > 0.1
        # "we add the position encoding to the input before each layer": every layer answers to it.
        for each in encoder.layers:
            assert (each(x, position) - each(x, torch.zeros_like(position))).abs().max() > 1e-4
        # "normalize the output of the final layer with an additional LN pass"
        latent, _ = encoder(torch.rand(1, 112, 4, 6))
        torch.testing.assert_close(latent.mean(), torch.tensor(0.0), atol=1e-4, rtol=0)
        torch.testing.assert_close(latent.var(unbiased=False), torch.tensor(1.0), atol=1e-2, rtol=0)
        # "an MLP preserving the input dimension C_t" with "gelu non-linearity"
        assert [type(m).__name__ for m in layer.mlp] == ["Linear", "GELU", "Dropout", "Linear"]
        assert layer.mlp[0].weight.shape == layer.mlp[3].weight.shape == (256, 256)
    # "The hidden layer of the MLP regressor heads expands the dimension from 256 to 1024"
    assert [tuple(m.weight.shape) for m in (model.position_head[0], model.position_head[2])] == [(1024, 256), (3, 1024)]
