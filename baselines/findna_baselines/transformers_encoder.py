"""Encoders whose architecture is part of the transformers library: its classes, our loading proofs, no remote code.

The class is looked up by ``model_type`` in a list of known encoders; ``auto_map`` is never followed. Serves ``hf:ORG/NAME`` and
``path:FOLDER`` for models without a card, and is the base of Nucleotide Transformer v1 and DNABERT.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from findna_baselines.checkpoints import translate
from findna_baselines.encoder import Encoder, wanted_layers
from findna_baselines.nucleotide_transformer_v2 import sixmer_tokenizer
from findna_baselines.tokenization import (
    KmerVocabulary,
    OverlappingKmerTokenizer,
    PublishedTokenizer,
    Tokenizer,
)
from findna_bench.api import Adapted, Checkpoint, Encoding, ModelError, TokenBatch, WeightsError

__all__ = ["TransformersEncoder"]

_OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert", "esm")
"""Model types whose learned positions start behind the padding index."""
_PLAIN_BLOCKS = ("bert", "roberta", "xlm-roberta", "camembert", "esm", "megatron-bert")
"""Model types whose blocks are attention and a two-layer MLP, so that their operations follow from the sizes."""
_IRRELEVANT = {
    "auto_map",
    "architectures",
    "torch_dtype",
    "dtype",
    "transformers_version",
    "_name_or_path",
    "is_decoder",
}


class _ParametersOnMeta(TorchFunctionMode):
    """Parameters on the meta device, everything computed (position ids, frequencies) for real.

    Layers allocate parameters with ``torch.empty``; buffers that no checkpoint holds are computed. Building on the meta device as
    such would lose the latter, and each architecture has its own.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.empty:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


class TransformersEncoder(Encoder):
    """An encoder of the transformers library.

    Args:
        published: the published ``config.json``; ``model_type`` says which architecture.
        with_head: build the masked-token head.
    """

    published_as: ClassVar[tuple[str, ...]] = (
        "bert", "roberta", "xlm-roberta", "camembert", "esm", "electra", "distilbert", "albert", "megatron-bert", "modernbert",
        "deberta-v2", "roformer",
    )  # fmt: skip
    tokenizer_hint: ClassVar[str] = (
        "this model's tokenizer is not among its files: a tokenizer.json, or a vocab.txt of k-mers, is needed beside the weights"
    )
    optional_tokenizer_files: ClassVar[tuple[str, ...]] = ("tokenizer.json", "vocab.txt")
    can_compile: ClassVar[bool] = False

    @classmethod
    def recognises(cls, config: Mapping[str, Any]) -> bool:
        """Any encoder in the list, unless its repository brings code of its own, which may well change what it computes."""
        return super().recognises(config) and "auto_map" not in config

    def __init__(
        self,
        *,
        published: Mapping[str, Any],
        with_head: bool = True,
        max_length: int | None = None,
        files: Mapping[str, Path] | None = None,
    ) -> None:
        super().__init__()
        hf_config = _configuration(published)
        on_meta = torch.empty(0).device.type == "meta"
        with torch.device("cpu" if on_meta else torch.get_default_device()):
            if on_meta:
                with _ParametersOnMeta():
                    self.model = _build(hf_config, with_head)
            else:
                self.model = _build(hf_config, with_head)
        self.with_head, self._checkpointing = with_head, False
        for name, parameter in self.model.named_parameters():
            if (
                "contact_head." in name
            ):  # ESM's, over attention maps: part of the published count, never part of the output
                parameter.requires_grad_(False)
        prefix = self.model.base_model_prefix
        self.head_prefixes = tuple(  # type: ignore[misc]
            f"model.{name}." for name, _ in self.model.named_children() if with_head and name != prefix
        )
        self.embed_dim, self.n_layers = hf_config.hidden_size, hf_config.num_hidden_layers
        self.tokenizer = self.build_tokenizer(published, files or {}, _most_tokens(hf_config))
        _check_vocabulary(self.tokenizer, hf_config)
        limit = getattr(self.tokenizer, "max_length", None)
        self.mask_token = getattr(self.tokenizer, "mask", None)
        self.max_length = limit if max_length is None else min(max_length, limit or max_length)

    @classmethod
    def build_tokenizer(
        cls, published: Mapping[str, Any], files: Mapping[str, Path], max_tokens: int
    ) -> Tokenizer | None:
        """From ``tokenizer.json``, or from a ``vocab.txt`` that holds k-mers; None where the model came without either."""
        if "tokenizer.json" in files:
            return PublishedTokenizer(files["tokenizer.json"], max_tokens)
        if "vocab.txt" in files:
            return _kmer_tokenizer(published, files, max_tokens)
        return None

    @classmethod
    def adapt_checkpoint(cls, checkpoint: Checkpoint, config: Mapping[str, Any], network: str | None = None) -> Adapted:
        published = _published(config.get("published", {}), checkpoint.config)
        settings = {**config, "published": published}
        hf_config = _configuration(published)
        with torch.device("cpu"), _ParametersOnMeta():
            whole = _build(hf_config, with_head=True)
        prefix = f"{whole.base_model_prefix}."
        wrapper = _wrapper(checkpoint.tensors, {name.removeprefix(prefix) for name in whole.state_dict()}, prefix)
        bare = {key.removeprefix(wrapper): tensor for key, tensor in checkpoint.tensors.items()}
        checkpoint = replace(checkpoint, tensors=bare)
        keys, source = checkpoint.tensors.keys(), checkpoint.source or "checkpoint"
        head = [name for name in whole.state_dict() if not name.startswith(prefix)]
        shared = _shared(whole)

        def stored(name: str) -> str | None:
            """The key that holds ``name``: its own, an older spelling, or that of a parameter tied to it."""
            own = name.removeprefix(strip)
            spelled = (own, renamed.get(own, own), *(other.removeprefix(strip) for other in shared.get(name, ())))
            return next((key for key in spelled if key in keys), None)

        strip = "" if any(key.startswith(prefix) for key in keys) else prefix
        renamed = _older_spellings(checkpoint)
        settings["with_head"] = bool(head) and all(stored(name) for name in head)
        names, computed = {}, {}
        for name in whole.state_dict():
            if not settings["with_head"] and not name.startswith(prefix):
                continue
            own = "model." + (name if settings["with_head"] else name.removeprefix(prefix))
            names[own] = stored(name) or name.removeprefix(strip)
            if name.endswith("rotary_embeddings.inv_freq"):
                computed[own] = whole.get_buffer(name)
        repeated: dict[str, str] = {}
        for name, others in shared.items():
            first = stored(name)
            repeated |= {other: first for other in others if first and other in keys and other != first}
        if not any(key in keys for key in names.values()):
            some = ", ".join(sorted(keys)[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
            raise WeightsError(
                f"{source}: holds no tensor of a {published.get('model_type')} encoder (it has {some}); rename its tensors, or "
                "save the encoder alone"
            )
        made = translate(cls, settings, checkpoint, names, computed=computed, ignored=_ignored(prefix), tied=repeated)
        ignored = {wrapper + key: reason for key, reason in made.ignored.items()}
        return replace(made, used=frozenset(wrapper + key for key in made.used), ignored=ignored)

    def reset_buffers(self) -> None:
        self.model.tie_weights()

    def forward(self, batch: TokenBatch, *, layers: Sequence[int] | None = None) -> Encoding:
        wanted = wanted_layers(layers, self.n_layers)
        tokens, kept = self._hidden(batch, wanted)
        return Encoding(tokens=tokens, layers=kept if layers is not None else None)

    def _hidden(self, batch: TokenBatch, wanted: frozenset[int]) -> tuple[Tensor, dict[int, Tensor]]:
        base = self.model.base_model
        if self.gradient_checkpointing != self._checkpointing:
            self._checkpointing = self.gradient_checkpointing
            _set_checkpointing(self.model, self._checkpointing)
        output = base(
            input_ids=batch.inputs,
            attention_mask=batch.mask.long(),
            output_hidden_states=bool(wanted - {self.n_layers}),
            return_dict=True,
        )
        kept = {n: output.hidden_states[n] for n in wanted if n != self.n_layers}
        if self.n_layers in wanted:
            kept[self.n_layers] = output.last_hidden_state
        return output.last_hidden_state, kept

    def analytic_flops(self, batch_size: int, n_tokens: int) -> int | None:
        """Per block: four projections, two products over pairs of tokens, two of the MLP; None for other kinds of block."""
        config = self.model.config
        if config.model_type not in _PLAIN_BLOCKS:
            return None
        width = int(config.hidden_size)
        per_token = 4 * width * width + 2 * width * int(config.intermediate_size) + 2 * width * n_tokens
        return 2 * batch_size * n_tokens * per_token * int(config.num_hidden_layers)

    def logits(self, batch: TokenBatch) -> Tensor:
        """(B, T, V): logits of the token at each position."""
        if not self.with_head:
            raise self.no_head("masked-token head")
        logits: Tensor = self.model(input_ids=batch.inputs, attention_mask=batch.mask.long(), return_dict=True).logits
        return logits


def _set_checkpointing(model: Any, on: bool) -> None:
    """Recompute layers in the backward pass, by whichever of its names this version of the library has for that."""
    verb = "activation" if hasattr(model, "activation_checkpointing_enable") else "gradient"
    if on:
        getattr(model, f"{verb}_checkpointing_enable")(**{f"{verb}_checkpointing_kwargs": {"use_reentrant": False}})
    else:
        getattr(model, f"{verb}_checkpointing_disable")()


def _published(card: Mapping[str, Any], stored: Mapping[str, Any] | None) -> dict[str, Any]:
    """The ``config.json`` of a checkpoint, or the card's where there is none.

    What the file leaves out is the library's default, as for the library itself; the card says only what has none.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    if stored is None:
        return dict(card)
    model_type = stored.get("model_type", card.get("model_type"))
    if model_type not in TransformersEncoder.published_as:
        return {**card, **stored}
    defaults = CONFIG_MAPPING[model_type]().to_dict()
    return {name: value for name, value in card.items() if name == "model_type" or defaults.get(name) is None} | dict(
        stored
    )


def _configuration(published: Mapping[str, Any]) -> Any:
    """The library's configuration object, from the keys that it knows.

    Raises:
        ModelError: the architecture is not in the list, or a value is impossible.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    model_type = published.get("model_type")
    if model_type not in TransformersEncoder.published_as:
        raise ModelError(
            f"model_type {model_type!r} is not an encoder of the transformers library that is known to work here "
            f"({', '.join(TransformersEncoder.published_as)}); code from a model repository is never run"
        )
    config_class = CONFIG_MAPPING[model_type]
    known = set(config_class().to_dict()) - _IRRELEVANT
    try:
        config = config_class(**{key: value for key, value in published.items() if key in known})
    except Exception as error:  # the library's validators raise several types of their own
        raise ModelError(f"a {model_type} configuration cannot be built from this config.json: {error}") from error
    config.use_cache = False
    return config


def _build(config: Any, with_head: bool) -> Any:
    """The library's masked-LM model, or its bare encoder without a pooler."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES, MODEL_MAPPING_NAMES

    names = MODEL_FOR_MASKED_LM_MAPPING_NAMES if with_head else MODEL_MAPPING_NAMES
    model_class: Any = getattr(transformers, str(names[config.model_type]))
    try:
        return model_class(config) if with_head else model_class(config, add_pooling_layer=False)
    except TypeError as error:
        if "add_pooling_layer" not in str(error):
            raise
        return model_class(config)


def _most_tokens(config: Any) -> int:
    rows = int(config.max_position_embeddings)
    return rows - int(config.pad_token_id) - 1 if config.model_type in _OFFSET_POSITIONS else rows


def _shared(model: Any) -> dict[str, tuple[str, ...]]:
    """Names in the state dictionary that share a tensor with others -> those others."""
    groups: dict[int, list[str]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        groups.setdefault(id(tensor), []).append(name)
    return {name: tuple(n for n in names if n != name) for names in groups.values() if len(names) > 1 for name in names}


def _older_spellings(checkpoint: Checkpoint) -> dict[str, str]:
    """Names as the library writes them today -> as this file has them (gamma and beta for weight and bias)."""
    old = {"gamma": "weight", "beta": "bias"}
    pairs = ((key.rpartition("."), key) for key in checkpoint.tensors)
    return {f"{stem}.{old[last]}": key for (stem, _, last), key in pairs if last in old}


def _ignored(prefix: str) -> dict[str, str]:
    base = f"({prefix.replace('.', chr(92) + '.')})?"
    head = "a head of the published model; pooling here reads hidden states"
    return {
        rf"{base}(embeddings\.)?position_ids": "a range of integers",
        rf"{base}embeddings\.position_embeddings\.weight": "a position table that rotary models do not use",
        rf"{base}embeddings\.token_type_ids": "zeros",
        rf"{base}.*rotary_embeddings\.inv_freq": "rotary frequencies, computed from the sizes",
        rf"{base}pooler\..*": "no pooling here uses the pooler",
        r"cls\.(predictions|seq_relationship)\..*": head,
        r"(lm_head|classifier|predictions|generator_predictions|generator_lm_head|discriminator_predictions|head|decoder"
        r"|vocab_transform|vocab_layer_norm|vocab_projector|qa_outputs|score)\..*": head,
    }


def _check_vocabulary(tokenizer: Any, hf_config: Any) -> None:
    """Whether every token that DNA can become has a row of the embedding.

    Raises:
        WeightsError: one has none.
    """
    largest = getattr(tokenizer, "largest_id", None)
    if largest is None and hasattr(tokenizer, "vocabulary"):
        largest = len(tokenizer.vocabulary) - 1
    if largest is not None and largest >= hf_config.vocab_size:
        raise WeightsError(
            f"the vocabulary has tokens up to number {largest}, the embedding {hf_config.vocab_size} rows (vocab_size in "
            "config.json); give the vocabulary that the model was trained with"
        )


def _wrapper(keys: Iterable[str], names: set[str], prefix: str) -> str:
    """What a training script put before all names (``net.``, ``model.``, ``encoder.net.``): empty unless some names are the
    encoder's (``names``, bare of ``prefix``) without it, and none is with it.
    """
    bare, wrapper = list(keys), ""
    for _ in range(3):
        if any(key.removeprefix(prefix) in names for key in bare):
            return wrapper
        first = {key.partition(".")[0] for key in bare}
        if len(first) != 1 or not all("." in key for key in bare):
            break
        wrapper += f"{first.pop()}."
        bare = [key.partition(".")[2] for key in bare]
    return ""


def _kmer_tokenizer(published: Mapping[str, Any], files: Mapping[str, Path], max_tokens: int) -> Tokenizer:
    """A tokenizer of k-mers from ``vocab.txt``: non-overlapping 6-mers (ESM) or overlapping ones (BERT and its like)."""
    path = files["vocab.txt"]
    if published.get("model_type") == "esm":
        return sixmer_tokenizer(files, int(published["vocab_size"]), max_tokens)
    tokens = path.read_text(encoding="utf-8").split()
    widths = {len(token) for token in tokens if set(token) <= set("ACGT")}
    if len(widths) != 1:
        raise WeightsError(
            f"{path}: not a vocabulary of k-mers of one length; a tokenizer.json is needed for this model"
        )
    return OverlappingKmerTokenizer(KmerVocabulary.from_file(path, widths.pop()), max_tokens)
