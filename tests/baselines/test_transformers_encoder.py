"""``path:FOLDER`` and ``hf:`` models without a card: encoders of the transformers library, loaded with the same proofs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from findna_baselines.transformers_encoder import TransformersEncoder
from findna_bench.errors import BenchError, ModelError, WeightsError
from findna_bench.models.embedding import embed, encode
from findna_bench.models.loading import load_model

SEQUENCES = ["ACGTACGTTGCAACGTAGG", "GATTACA", "AC", "N", "ACGTNNTTAGGACCA" * 3]
SIZES = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
OWN_SIZES: dict[str, dict[str, Any]] = {
    "distilbert": {
        "dim": 24,
        "n_layers": 2,
        "n_heads": 3,
        "hidden_dim": 32,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
    },
    "esm": {"position_embedding_type": "rotary", "mask_token_id": 4, "token_dropout": True},
    "albert": {"embedding_size": 12},
    "electra": {"embedding_size": 12},
    "roformer": {"embedding_size": 24},
    "modernbert": {"global_attn_every_n_layers": 2, "local_attention": 8},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False},
}


def write_tokenizer(folder: Path) -> int:
    """A small byte-pair ``tokenizer.json`` over DNA letters; returns the number of tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "A", "C", "G", "T", "AC", "GT", "ACGT", "TT", "GA"]
    merges = [("A", "C"), ("G", "T"), ("AC", "GT"), ("T", "T"), ("G", "A")]
    tokenizer = Tokenizer(models.BPE({w: i for i, w in enumerate(words)}, merges, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_special_tokens(words[:5])
    tokenizer.save(str(folder / "tokenizer.json"))
    return len(words)


def write(folder: Path, model_type: str, *, head: bool = True, **changes: Any) -> Any:
    """A random model as the library itself saves it; returns it in eval mode."""
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES, MODEL_MAPPING_NAMES

    vocab_size = write_tokenizer(folder)
    sizes = OWN_SIZES[model_type] if model_type == "distilbert" else {**SIZES, **OWN_SIZES.get(model_type, {})}
    config = CONFIG_MAPPING[model_type](**{**sizes, "vocab_size": vocab_size, **changes})
    names = MODEL_FOR_MASKED_LM_MAPPING_NAMES if head else MODEL_MAPPING_NAMES
    torch.manual_seed(0)
    model = getattr(transformers, str(names[model_type]))(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("head", [True, False], ids=["with head", "bare"])
@pytest.mark.parametrize("model_type", TransformersEncoder.published_as)
def test_hidden_states_are_the_library_s(model_type: str, head: bool, tmp_path: Path) -> None:
    theirs = write(tmp_path, model_type, head=head)
    model = load_model(f"path:{tmp_path}")
    assert model.card.backbone == "transformers-encoder"
    together = encode(model, SEQUENCES, batch_size=len(SEQUENCES))
    for sequence, padded in zip(SEQUENCES, together, strict=True):
        batch = model.backbone.tokenize([sequence])
        assert int(batch.spans.sum()) == len(sequence)
        with torch.inference_mode():
            output = theirs.base_model(batch.inputs, attention_mask=batch.mask.long())
        np.testing.assert_allclose(padded, output.last_hidden_state[0].numpy(), atol=5e-5, rtol=0)
    with torch.inference_mode():
        batch = model.backbone.tokenize(SEQUENCES[:1])
        every = model.backbone(batch, layers=[0, 1, 2]).layers
        theirs_every = theirs.base_model(batch.inputs, attention_mask=batch.mask.long(), output_hidden_states=True)
        for number, states in every.items():
            # What the library calls the last hidden states: older versions list the one before the final norm here.
            last = theirs_every.last_hidden_state
            expected = last if number == 2 else theirs_every.hidden_states[number]
            torch.testing.assert_close(states, expected, atol=5e-5, rtol=0)
        if head:
            expected = theirs(batch.inputs, attention_mask=batch.mask.long()).logits
            torch.testing.assert_close(model.backbone.logits(batch), expected, atol=5e-5, rtol=0)
    body = {id(p): p.numel() for p in theirs.base_model.parameters() if not _pooler(theirs, p)}
    assert model.n_parameters == sum(body.values())


def _pooler(model: Any, parameter: Any) -> bool:
    pooler = getattr(model.base_model, "pooler", None)
    return pooler is not None and any(parameter is p for p in pooler.parameters())


@pytest.mark.parametrize("head", [True, False], ids=["with head", "bare"])
@pytest.mark.parametrize("wrapper", ["net.", "model.", "module.", "_orig_mod.", "encoder.net.", "module.model."])
def test_a_wrapper_s_name_before_every_tensor_is_taken_away(wrapper: str, head: bool, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    write(tmp_path, "bert", head=head)
    plain = embed(load_model(f"path:{tmp_path}"), SEQUENCES).vectors
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    save_file({wrapper + key: value.clone() for key, value in tensors.items()}, file)
    wrapped = load_model(f"path:{tmp_path}")
    np.testing.assert_array_equal(embed(wrapped, SEQUENCES).vectors, plain)
    save_file({f"other.{i}": value.clone() for i, value in enumerate(tensors.values())}, file)
    with pytest.raises(WeightsError, match=r"holds no tensor of a bert encoder \(it has other\.0, other\.1"):
        load_model(f"path:{tmp_path}")


def test_a_vocabulary_beyond_the_embedding_is_found_at_load(tmp_path: Path) -> None:
    write(tmp_path, "bert")
    tokens = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *(a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT"),
    ]
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "vocab.txt").write_text("\n".join(tokens))
    with pytest.raises(WeightsError, match="tokens up to number 68, the embedding 14 rows"):
        load_model(f"path:{tmp_path}")


def test_short_sequences_and_lower_case_embed(tmp_path: Path) -> None:
    write(tmp_path, "bert")
    model = load_model(f"path:{tmp_path}")
    found = embed(model, SEQUENCES)
    assert np.isfinite(found.vectors).all()
    np.testing.assert_allclose(embed(model, [s.lower() for s in SEQUENCES]).vectors, found.vectors, atol=1e-6)


def test_a_sequence_beyond_the_positions_is_cut_and_counted(tmp_path: Path) -> None:
    write(tmp_path, "bert")
    coverage = embed(load_model(f"path:{tmp_path}"), ["GC" * 100]).coverage
    assert coverage["bases_seen"] == 62
    assert coverage["truncated_sequences"] == 1


def test_gradient_checkpointing_gives_the_same_gradients(tmp_path: Path) -> None:
    write(tmp_path, "bert")
    backbone = load_model(f"path:{tmp_path}").backbone.train()
    batch = backbone.tokenize(SEQUENCES)
    gradients = []
    for recompute in (False, True):
        backbone.gradient_checkpointing = recompute
        backbone.zero_grad()
        backbone(batch).tokens.pow(2).sum().backward()
        gradients.append({n: p.grad.clone() for n, p in backbone.named_parameters() if p.grad is not None})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)


def test_own_code_is_never_run_and_such_models_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "bert")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "modeling_own.py").write_text("raise SystemExit('remote code ran')")
    config["auto_map"] = {"AutoModel": "modeling_own.Own"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="never run"):
        load_model(f"path:{tmp_path}")


def test_an_architecture_that_is_no_known_encoder_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "bert")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(
        json.dumps(config | {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]})
    )
    with pytest.raises(ModelError, match="gpt2"):
        load_model(f"path:{tmp_path}")


def test_without_a_tokenizer_it_says_what_is_needed(tmp_path: Path) -> None:
    write(tmp_path, "bert")
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(WeightsError, match=r"tokenizer\.json"):
        load_model(f"path:{tmp_path}")


@pytest.mark.parametrize("damage", ["renamed", "dropped", "added", "resized"])
def test_keys_are_accounted_for(damage: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    write(tmp_path, "bert")
    path, key = tmp_path / "model.safetensors", "bert.encoder.layer.1.output.dense.weight"
    tensors = load_file(path)
    if damage in ("renamed", "dropped"):
        moved = tensors.pop(key)
        tensors |= {f"{key}_": moved} if damage == "renamed" else {}
    elif damage == "added":
        tensors["bert.encoder.layer.1.adapter.weight"] = torch.zeros(3)
    else:
        tensors[key] = tensors[key].T.contiguous()
    save_file(tensors, path)
    with pytest.raises(BenchError, match=r"encoder\.layer\.1\.(output\.dense|adapter)\.weight"):
        load_model(f"path:{tmp_path}")
