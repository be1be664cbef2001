"""The names that the papers' public reference implementations give to their tensors, and ours.

Facts about those programs' state dicts. Every function takes tensors out of `left` and returns them by our names; it
raises KeyError with the name of one that is missing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from transposenet_core.checkpoints.importing import Tensors
from transposenet_core.models.backbone import map_size

IMAGE_SIZE = (224, 224)  # the window that the reference cuts out of images whose smaller edge is 256
LEVELS = {40: 3, 112: 4}  # channels of EfficientNet-B0's maps -> reduction level
BRANCHES = {"t": "position", "rot": "orientation"}
# Of a Transformer's layers, but for the packed projections.
ENCODER_LAYER = {
    "self_attn.out_proj": "out",
    "linear1": "mlp.0",
    "linear2": "mlp.3",
    "norm1": "norm_attention",
    "norm2": "norm_mlp",
}
DECODER_LAYER = {"linear1": "mlp.0", "linear2": "mlp.3", "norm2": "norm_across", "norm3": "norm_mlp"}


def _transposenet(left: Tensors) -> tuple[str, dict, Tensors]:
    """The model, its options, and the tensors that are taken out of `left`, by our names."""
    options = _common_options(left) | {
        "layers": _count(left, "transformer_t.encoder.layers."),
        "orientation_prior": "regressor_head_rot.fc_h_prior.weight" in left,
    }
    ours: Tensors = {}
    for theirs, branch in BRANCHES.items():
        encoder = f"{branch}_encoder."
        ours |= _encoder(left, f"transformer_{theirs}.encoder.", f"{encoder}layers.", f"{encoder}norm.")
        ours |= _moved(left, f"input_proj_{theirs}.", f"{encoder}project.")
        ours |= {f"{encoder}token": left.pop(f"pose_token_embed_{theirs}")[None]}
        ours |= _head(left, f"regressor_head_{theirs}.", f"{branch}_head.")
    if options["orientation_prior"]:  # theirs sees the position's latent first, ours the orientation's
        weight = ours["orientation_head.0.weight"]
        ours["orientation_head.0.weight"] = torch.cat(weight.chunk(2, dim=1)[::-1], dim=1)
    # The token has one entry for either direction; the cells' begin at 1.
    token = left.pop("backbone.1.pose_token_embed.weight")[:1]
    return "transposenet", options, ours | _position_tables(left, options, token, 1, "encoder")


def _multiscene(left: Tensors) -> tuple[str, dict, Tensors]:
    """The same of the multi-scene Transformer. Its outputs are poses themselves: our scene centres are 0."""
    options = _common_options(left) | {"scenes": len(left["query_embed_t.weight"])}
    ours: Tensors = {}
    for theirs, branch in BRANCHES.items():
        transformer, which = f"{branch}_transformer.", "" if theirs == "t" else "orientation_"
        for part in ("encoder", "decoder"):
            options[f"{which}{part}_layers"] = _count(left, f"transformer_{theirs}.{part}.layers.")
        encoder, decoder = (f"transformer_{theirs}.{part}." for part in ("encoder", "decoder"))
        ours |= _encoder(left, encoder, f"{transformer}encoder.", f"{transformer}encoder_norm.")
        ours |= _decoder(left, decoder, transformer)
        ours |= _moved(left, f"input_proj_{theirs}.", f"{transformer}project.")
        ours |= {f"{transformer}query": left.pop(f"query_embed_{theirs}.weight")}
        ours |= _head(left, f"regressor_head_{theirs}.", f"{branch}.residual.")
        outputs = len(ours[f"{branch}.residual.2.bias"])
        ours |= {f"{branch}.centre_SKP": torch.zeros(options["scenes"], 1, outputs)}
    weight, _ = left.pop("scene_embed.weight"), left.pop("scene_embed.bias")  # a softmax does not depend on the bias
    if options["scenes"] > 1:
        ours["scene.weight"] = weight
    token = torch.zeros(1, options["width"] // 2)  # ours has an entry for one, which is not read
    return "multiscene_transformer", options, ours | _position_tables(left, options, token, 0, "transformer")


def _common_options(left: Tensors) -> dict:
    options: dict = {"image_size": list(IMAGE_SIZE)}
    for theirs, branch in BRANCHES.items():
        channels = left[f"input_proj_{theirs}.weight"].shape[1]
        if channels not in LEVELS:
            raise ValueError(
                f"input_proj_{theirs} takes {channels} channels, {' or '.join(map(str, LEVELS))} are supported"
            )
        options[f"{branch}_level"] = LEVELS[channels]
    options["width"] = len(left["input_proj_t.weight"])
    options["mlp_width"] = len(left["transformer_t.encoder.layers.0.linear1.weight"])
    options["head_width"] = len(left["regressor_head_t.fc_h.weight"])
    return options


def _count(left: Tensors, prefix: str) -> int:
    return len({key.removeprefix(prefix).partition(".")[0] for key in left if key.startswith(prefix)})


def _encoder(left: Tensors, theirs: str, layers: str, norm: str) -> Tensors:
    moved = _moved(left, f"{theirs}norm.", norm)
    for number in range(_count(left, f"{theirs}layers.")):
        from_, to = f"{theirs}layers.{number}.", f"{layers}{number}."
        for name, our in ENCODER_LAYER.items():
            moved |= _moved(left, f"{from_}{name}.", f"{to}{our}.")
        for part in ("weight", "bias"):
            query, key, value = left.pop(f"{from_}self_attn.in_proj_{part}").chunk(3)
            moved |= {f"{to}query_key.{part}": torch.cat((query, key)), f"{to}value.{part}": value}
    return moved


def _decoder(left: Tensors, theirs: str, ours: str) -> Tensors:
    """A decoder's layers and its last norm. Over the zeros that it starts from, the first self-attention gives every
    query the same vector: ours has that instead (`SceneTransformer`)."""
    moved = _moved(left, f"{theirs}norm.", f"{ours}decoder_norm.")
    for number in range(_count(left, f"{theirs}layers.")):
        from_, to = f"{theirs}layers.{number}.", f"{ours}decoder.{number}."
        for name, our in DECODER_LAYER.items():
            moved |= _moved(left, f"{from_}{name}.", f"{to}{our}.")
        moved |= _attention(left, f"{from_}multihead_attn.", f"{to}across.")
        between = _attention(left, f"{from_}self_attn.", f"{to}between.")
        norm = _moved(left, f"{from_}norm1.", f"{to}norm_between.")
        if number:
            moved |= between | norm
        else:
            value, out = (
                (between[f"{to}between.{name}.weight"], between[f"{to}between.{name}.bias"])
                for name in ("value", "out")
            )
            moved[f"{ours}start"] = out[0] @ (value[0] @ norm[f"{to}norm_between.bias"] + value[1]) + out[1]
    return moved


def _attention(left: Tensors, theirs: str, ours: str) -> Tensors:
    """Ours has no bias of keys, on which a softmax does not depend."""
    moved = _moved(left, f"{theirs}out_proj.", f"{ours}out.")
    for part in ("weight", "bias"):
        packed = left.pop(f"{theirs}in_proj_{part}").chunk(3)
        moved |= {
            f"{ours}{name}.{part}": tensor for name, tensor in zip(("query", "key", "value"), packed, strict=True)
        }
    del moved[f"{ours}key.bias"]
    return moved


def _head(left: Tensors, theirs: str, ours: str) -> Tensors:
    """A head's two layers; of two first layers the one that also sees the other branch's latent is in use."""
    hidden = _moved(left, f"{theirs}fc_h.", f"{ours}0.")
    if f"{theirs}fc_h_prior.weight" in left:
        hidden = _moved(left, f"{theirs}fc_h_prior.", f"{ours}0.")
    return hidden | _moved(left, f"{theirs}fc_o.", f"{ours}2.")


def _position_tables(left: Tensors, options: dict, token: torch.Tensor, first: int, module: str) -> Tensors:
    """Theirs is one pair of tables for both maps, whose cells begin at entry `first`."""
    tables: Tensors = {}
    for axis, name in enumerate(("row", "col")):
        table = torch.cat((token, left.pop(f"backbone.1.{name}_embed.weight")[first:]))
        our = ("rows", "columns")[axis]
        for branch in BRANCHES.values():
            length = map_size(IMAGE_SIZE, options[f"{branch}_level"])[axis]
            tables[f"{branch}_{module}.position.{our}"] = table[: length + 1]
    return tables


def _moved(left: Tensors, theirs: str, ours: str) -> Tensors:
    """Weight and bias, taken out of what is left."""
    return {ours + part: left.pop(theirs + part) for part in ("weight", "bias")}


# A tensor that only such a checkpoint has -> what reads it: the model, its options, the tensors by our names.
LAYOUTS: dict[str, Callable[[Tensors], tuple[str, dict, Tensors]]] = {
    "pose_token_embed_t": _transposenet,
    "query_embed_t.weight": _multiscene,
}
