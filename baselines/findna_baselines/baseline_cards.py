"""Cards of the baselines: where the weights are, how large they must be, what they have read, and what may be done with them.

Counts are of the encoder as loaded, without its pretraining head. Revisions, sizes and digests are those that independent
public projects have recorded for the same files; ``revision=None`` says that no commit is known yet, and the one that is
resolved at download is recorded with the results.
"""

from __future__ import annotations

from typing import Any

from findna_bench.cards import BackboneCard, ModelCard, Pretraining, PublishedFineTuning, WeightsSource

__all__ = ["BACKBONES", "MODELS"]

_UNCONFIRMED = (
    "checked with random weights against outputs of the original implementation; not yet with the released weights"
)
_SELF_CHECKED = (
    "checked for consistency only (slow scan, strand symmetry): no output of the original implementation was at hand, and the "
    "released weights have not been tried yet"
)
_NON_COMMERCIAL = "these weights are CC-BY-NC-SA-4.0: no commercial use, and what is derived from them is shared alike"

# --- HyenaDNA -------------------------------------------------------------------------------------------------------------

_HYENA_REFERENCE = "Nguyen et al. 2023, HyenaDNA, arXiv:2306.15794; github.com/HazyResearch/hyena-dna"
_BASENJI_SPLIT = Pretraining(
    assemblies=("GRCh38",),
    note="human reference genome, training intervals of the Basenji split (Kelley 2020)",
)

_HYENA_FINETUNING = PublishedFineTuning(
    learning_rate=6e-4,
    source="configs/experiment/hg38/genomic_benchmark.yaml, github.com/HazyResearch/hyena-dna at "
    "363939adb9fa3b87ce5181cd10a092d65a7993f5",
    batch_size=128,
    epochs=100,
    optimizer={"weight_decay": 0.1, "clip": 1.0, "warmup": 0.01, "schedule": "cosine to a tenth"},
)


def _hyenadna(
    size: str,
    repo: str,
    parameters: int,
    *,
    revision: str,
    aliases: tuple[str, ...] = (),
    sha256: str | None = None,
    bytes_: int | None = None,
    **config: Any,
) -> ModelCard:
    source = WeightsSource(
        repo=f"LongSafari/{repo}-hf",
        revision=revision,
        files=("model.safetensors", "config.json"),
        sha256=sha256,
        size=bytes_,
        licence="BSD-3-Clause",
    )
    return ModelCard(
        name=f"hyenadna-{size}",
        kind="encoder",
        aliases=(*aliases, repo, f"{repo}-hf"),
        summary=f"HyenaDNA {size}: {config['n_layers']} layers, {config['d_model']} channels, single nucleotides, causal",
        backbone="hyenadna",
        config=config,
        weights=(source,),
        pooling="mean",
        pooling_source="mean over positions as in the authors' GenomicBenchmarks runs (there padding, at the left, was averaged too)",
        max_length=config["max_seq_len"] - 2,
        causal=True,
        n_parameters=parameters,
        paper=_HYENA_REFERENCE,
        licence_code="Apache-2.0",
        licence_weights="BSD-3-Clause",
        notes=(_UNCONFIRMED,),
        pretraining=_BASENJI_SPLIT,
        finetuning=_HYENA_FINETUNING,
    )


_HYENADNA = (
    _hyenadna(
        "tiny-1k",
        "hyenadna-tiny-1k-seqlen",
        436_096,
        aliases=("hyenadna", "hyenadna-tiny"),
        revision="e8c1effa8673814e257e627d2e1eda9ea5a373f6",
        sha256="5ce2146c21e9c4baa6bddc4998fd3d029903ae84a563bf80218644082194a12d",
        d_model=128,
        n_layers=2,
        max_seq_len=1026,
    ),
    _hyenadna(
        "tiny-1k-d256",
        "hyenadna-tiny-1k-seqlen-d256",
        1_641_088,
        revision="6036d4e144922b44470294f510cbfd2539ba3b7e",
        sha256="81c15c4042d5fae646f00b429b76c65644cdbe88aa7e98b61aa781c84ff09031",
        d_model=256,
        n_layers=2,
        max_seq_len=1026,
    ),
    _hyenadna(
        "tiny-16k",
        "hyenadna-tiny-16k-seqlen-d128",
        436_096,
        aliases=("hyenadna-tiny-16k-d128",),
        revision="d79fa37e2cd62dd338103c630f95be8f90812d46",
        sha256="9b30dba3d2d801c305d96cc4ac6229f1d6ce61567871e0b58754633ad764bca8",
        d_model=128,
        n_layers=2,
        max_seq_len=16386,
    ),
    _hyenadna(
        "small-32k",
        "hyenadna-small-32k-seqlen",
        3_277_568,
        aliases=("hyenadna-small",),
        revision="8fe770c78eb13fe33bf81501612faeddf4d6f331",
        sha256="b7a1c9479248edf27691b189bb6657256f1705e560cadc64d6431633932cafa1",
        d_model=256,
        n_layers=4,
        max_seq_len=32770,
    ),
    _hyenadna(
        "medium-160k",
        "hyenadna-medium-160k-seqlen",
        6_550_528,
        revision="7ebf71773d22c0ede2cc55cb2be15ee8c289e1ce",
        sha256="16685b36caf5d144da391f1b540ed47e89d79b3efd38899325492f174b8e852a",
        bytes_=56_971_992,
        d_model=256,
        n_layers=8,
        max_seq_len=160002,
    ),
    _hyenadna(
        "medium-450k",
        "hyenadna-medium-450k-seqlen",
        6_550_528,
        revision="42dedd4d374eac0fb8168549e546a3472fbd27ae",
        d_model=256,
        n_layers=8,
        max_seq_len=450002,
    ),
    _hyenadna(
        "large-1m",
        "hyenadna-large-1m-seqlen",
        6_550_528,
        aliases=("hyenadna-large",),
        revision="0a629abf9c7f85b4ec9aa6a1aefa3adcf1907446",
        sha256="deafb53209bfafb314d14bd81108546a34d473c07ed7ab7a355674376b56ad12",
        bytes_=218_252_304,
        d_model=256,
        n_layers=8,
        max_seq_len=1000002,
    ),
)

# --- DNABERT-2 ------------------------------------------------------------------------------------------------------------

_DNABERT2_REFERENCE = "Zhou et al. 2023, DNABERT-2, arXiv:2306.15006; github.com/MAGICS-LAB/DNABERT_2"
_DNABERT2_REPO = "zhihan1996/DNABERT-2-117M"
_DNABERT2_REVISION = "d064dece8a8b41d9fb8729fbe3435278786931f1"

_DNABERT2 = (
    ModelCard(
        name="dnabert2",
        kind="encoder",
        aliases=("dnabert-2", "dnabert2-117m", "DNABERT-2-117M"),
        summary="DNABERT-2: 12 layers, 768 channels, byte-pair tokens, ALiBi",
        backbone="dnabert2",
        config={"d_model": 768, "n_layers": 12, "n_heads": 12, "d_inner": 3072},
        weights=(
            WeightsSource(
                repo=_DNABERT2_REPO,
                revision=_DNABERT2_REVISION,
                files=("pytorch_model.bin", "model.safetensors", "config.json", "tokenizer.json"),
                sha256="7ff39ec77a484dd01070a41bfd6e95cdd7247bec80fe357ab43a4be33687aeba",
                size=468_354_983,
                licence="Apache-2.0",
            ),
        ),
        tokenizer=(
            WeightsSource(
                repo=_DNABERT2_REPO,
                revision=_DNABERT2_REVISION,
                files=("tokenizer.json",),
                sha256="5d178e8ce2ba55df97fff197f4b30f40133b95d7096be398c2df6b526c5d8cd3",
                size=167_908,
                licence="Apache-2.0",
            ),
        ),
        pooling="mean_all",
        pooling_source=(
            "the authors' README averages the last hidden states of all tokens; DNABERT_2 issue 115: [CLS] is not meaningful, "
            "average the tokens"
        ),
        max_length=10_000,
        n_parameters=116_477_952,
        paper=_DNABERT2_REFERENCE,
        licence_code="Apache-2.0",
        licence_weights="Apache-2.0",
        notes=(
            _UNCONFIRMED,
            "the published checkpoint has no pooler: a pooled output of the original code comes from random weights",
            "longest input 10 kb, the longest that the authors evaluated; the architecture itself has no limit",
        ),
        pretraining=Pretraining(assemblies=("GRCh38",), note="human genome, and genomes of 135 species (32.5 Gb)"),
        finetuning=PublishedFineTuning(
            learning_rate=3e-5,
            source="finetune/scripts/run_dnabert2.sh, github.com/MAGICS-LAB/DNABERT_2 at "
            "7d569d730fd0934ff4b68ba33ab01340bf4569e5",
            batch_size=32,
            optimizer={"weight_decay": 0.01, "warmup_steps": "30 or 50", "schedule": "linear"},
            note="3 to 10 epochs; 8 rows on each of 4 devices; the preset gue-dnabert2 has the script task by task",
        ),
    ),
)

# --- Nucleotide Transformer -----------------------------------------------------------------------------------------------

_NT_REFERENCE = (
    "Dalla-Torre et al. 2024, Nucleotide Transformer, doi:10.1038/s41592-024-02523-z; "
    "github.com/instadeepai/nucleotide-transformer"
)
_NT_POOLING = (
    "the published model card averages the last hidden states of all tokens that are not padding, [CLS] included"
)
_NT_MULTI = Pretraining(
    assemblies=("GRCh38",), note="850 genomes across phyla from NCBI, the human reference among them"
)
_NT_HUMAN = Pretraining(assemblies=("GRCh38",), note="human reference genome")
_NT_1000G = Pretraining(assemblies=("GRCh38",), note="3202 genomes of the 1000 Genomes Project")


_NT_LARGE = (
    "10 GB of weights in fp32: inference needs 11 GB of memory, a backward pass 21 GB and optimiser states 20 GB more, so it was "
    "not run forward and backward on the 24 GB machine on which the other sizes were"
)


_NT_FINETUNING = PublishedFineTuning(
    learning_rate=1e-5,
    source="examples/nucleotide_transformer_dna_sequence_modelling.ipynb, github.com/huggingface/notebooks at "
    "5068b1142e8ed1e691c8b1e9f98e4473ebe55790 (500M human reference model, whole network)",
    batch_size=8,
    steps=1000,
    optimizer={"schedule": "linear"},
    adapter_learning_rate=5e-4,
    adapter_source="nucleotide_transformer_dna_sequence_modelling_with_peft.ipynb, same place (rank 1, alpha 32)",
    note="the paper's figures come from another kind of adapters (IA3), which this harness does not have",
)


def _nucleotide_transformer(
    name: str,
    repo: str,
    parameters: int,
    config: dict[str, Any],
    *,
    backbone: str,
    max_length: int,
    pretraining: Pretraining,
    aliases: tuple[str, ...],
    files: tuple[str, ...],
    revision: str | None = None,
    sha256: str | None = None,
    bytes_: int | None = None,
    notes: tuple[str, ...] = (),
) -> ModelCard:
    source = WeightsSource(
        repo=f"InstaDeepAI/{repo}",
        revision=revision,
        files=(*files, "config.json", "vocab.txt"),
        sha256=sha256,
        size=bytes_,
        licence="CC-BY-NC-SA-4.0",
    )
    return ModelCard(
        name=name,
        kind="encoder",
        aliases=(*aliases, repo),
        summary=f"{repo.replace('-', ' ')}: 6-mers",
        backbone=backbone,
        config=config,
        weights=(source,),
        pooling="mean_all",
        pooling_source=_NT_POOLING
        if backbone.endswith("v1")
        else f"{_NT_POOLING} (card of v1; v2 is taken to follow it)",
        max_length=max_length,
        n_parameters=parameters,
        paper=_NT_REFERENCE,
        licence_code="Apache-2.0 (this implementation)",
        licence_weights="CC-BY-NC-SA-4.0",
        notes=(_NON_COMMERCIAL, _UNCONFIRMED, *notes),
        pretraining=pretraining,
        finetuning=_NT_FINETUNING,
    )


def _nt_v1(
    name: str,
    repo: str,
    *,
    large: bool,
    aliases: tuple[str, ...],
    pretraining: Pretraining,
    revision: str | None = None,
) -> ModelCard:
    width, layers, inner = (2560, 32, 10240) if large else (1280, 24, 5120)
    published = {
        "model_type": "esm",
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": 20,
        "intermediate_size": inner,
        "vocab_size": 4105,
        "max_position_embeddings": 1002,
        "position_embedding_type": "absolute",
        "token_dropout": True,
        "emb_layer_norm_before": False,
        "tie_word_embeddings": False,
        "layer_norm_eps": 1e-12,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "pad_token_id": 1,
        "mask_token_id": 2,
    }
    index = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
    return _nucleotide_transformer(
        name,
        repo,
        2_530_727_041 if large else 478_798_561,
        {"published": published},
        backbone="nucleotide-transformer-v1",
        max_length=5994,
        pretraining=pretraining,
        aliases=aliases,
        files=("pytorch_model.bin", *index, "model.safetensors")
        if large
        else ("pytorch_model.bin", "model.safetensors"),
        revision=revision,
        notes=(_NT_LARGE,) if large else (),
    )


def _nt_v2(
    name: str,
    repo: str,
    parameters: int,
    sizes: tuple[int, int, int, int],
    *,
    revision: str,
    sha256: str | None = None,
    bytes_: int | None = None,
    notes: tuple[str, ...] = (),
) -> ModelCard:
    layers, width, heads, inner = sizes
    size = name.rpartition("-")[2]
    return _nucleotide_transformer(
        name,
        repo,
        parameters,
        {"d_model": width, "n_layers": layers, "n_heads": heads, "d_inner": inner},
        backbone="nucleotide-transformer-v2",
        max_length=12_282,
        pretraining=_NT_MULTI,
        aliases=(f"nt-v2-{size}-multi", f"nucleotide-transformer-v2-{size}"),
        files=("model.safetensors", "pytorch_model.bin"),
        revision=revision,
        sha256=sha256,
        bytes_=bytes_,
        notes=notes,
    )


_NUCLEOTIDE_TRANSFORMER = (
    _nt_v1(
        "nt-500m-human",
        "nucleotide-transformer-500m-human-ref",
        large=False,
        aliases=("nt-500m-human-ref", "nt-human-500m"),
        pretraining=_NT_HUMAN,
    ),
    _nt_v1(
        "nt-500m-1000g",
        "nucleotide-transformer-500m-1000g",
        large=False,
        aliases=("nt-1000g-500m",),
        pretraining=_NT_1000G,
    ),
    _nt_v1(
        "nt-2500m-multi",
        "nucleotide-transformer-2.5b-multi-species",
        large=True,
        aliases=("nt-2.5b-multi", "nt-2500m-multi-species", "nt-2.5b-multi-species"),
        pretraining=_NT_MULTI,
        revision="b746b125aacd1b0970c05a32fd71ba726754542e",
    ),
    _nt_v1(
        "nt-2500m-1000g",
        "nucleotide-transformer-2.5b-1000g",
        large=True,
        aliases=("nt-2.5b-1000g",),
        pretraining=_NT_1000G,
    ),
    _nt_v2(
        "nt-v2-50m",
        "nucleotide-transformer-v2-50m-multi-species",
        53_534_401,
        (12, 512, 16, 2048),
        revision="81b29e5786726d891dbf929404ef20adca5b36f1",
        sha256="17e75af297556ea56828716d8aa539e8f12b8b625547204b74171ab91aa33569",
        bytes_=223_642_688,
    ),
    _nt_v2(
        "nt-v2-100m",
        "nucleotide-transformer-v2-100m-multi-species",
        95_518_561,
        (22, 512, 16, 2048),
        revision="f34324c6fde36a4f635f0f1f06cac5d25acd6798",
    ),
    _nt_v2(
        "nt-v2-250m",
        "nucleotide-transformer-v2-250m-multi-species",
        231_370_369,
        (24, 768, 16, 3072),
        revision="c0f0359229f36ff6bc3a021247eefe0a9c344bd1",
        notes=("width of the MLP (3072) not confirmed: the downloaded config.json decides, and the count is checked",),
    ),
    _nt_v2(
        "nt-v2-500m",
        "nucleotide-transformer-v2-500m-multi-species",
        493_084_113,
        (29, 1024, 16, 4096),
        revision="06615c1660c892fc199840c18123f8385b3542a8",
    ),
)

# --- DNABERT --------------------------------------------------------------------------------------------------------------

_DNABERT_REFERENCE = "Ji et al. 2021, DNABERT, doi:10.1093/bioinformatics/btab083; github.com/jerryji1993/DNABERT"

_DNABERT_FINETUNING = PublishedFineTuning(
    learning_rate=3e-5,
    source="finetune/scripts/run_dnabert1.sh, github.com/MAGICS-LAB/DNABERT_2 at b9463212cb6ef1eb36b45909c9b709ba8b7ed833",
    optimizer={"warmup_steps": "30 or 50", "schedule": "linear"},
    note="8 rows per device, 3 to 10 epochs; the README of jerryji1993/DNABERT has an example with 2e-4, 32 rows per device and 5 "
    "epochs",
)


def _dnabert(k: int) -> ModelCard:
    vocabulary = 4**k + 5
    published = {
        "model_type": "bert",
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "vocab_size": vocabulary,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
    }
    return ModelCard(
        name=f"dnabert-{k}",
        kind="encoder",
        aliases=(f"dnabert{k}", f"dnabert-{k}mer", f"DNA_bert_{k}", *(("dnabert", "dnabert1") if k == 6 else ())),
        summary=f"DNABERT: BERT-base over overlapping {k}-mers",
        backbone="dnabert",
        config={"published": published},
        weights=(
            WeightsSource(
                repo=f"zhihan1996/DNA_bert_{k}",
                files=("pytorch_model.bin", "model.safetensors", "config.json", "vocab.txt"),
                licence="Apache-2.0",
            ),
        ),
        pooling="mean",
        pooling_source="no statement by the authors, who fine-tune from [CLS]; mean over tokens as for the other masked models",
        max_length=510 + k - 1,
        n_parameters=85_450_752 + 768 * vocabulary,
        paper=_DNABERT_REFERENCE,
        licence_code="Apache-2.0",
        licence_weights="Apache-2.0",
        notes=(
            _UNCONFIRMED,
            f"reads {510 + k - 1} bases at once; --window window averages over windows of a longer sequence",
        ),
        pretraining=Pretraining(assemblies=("GRCh38",), note="human reference genome"),
        finetuning=_DNABERT_FINETUNING,
    )


_DNABERT = tuple(_dnabert(k) for k in (6, 5, 4, 3))

# --- Caduceus -------------------------------------------------------------------------------------------------------------

_CADUCEUS_REFERENCE = "Schiff et al. 2024, Caduceus, arXiv:2403.03234; github.com/kuleshov-group/caduceus"

_CADUCEUS_FINETUNING = PublishedFineTuning(
    learning_rate=1e-3,
    source="slurm_scripts/wrapper_run_genomics.sh and run_genomics_benchmark.sh, github.com/kuleshov-group/caduceus at "
    "2812fc30e4d1b8eea8e3318bf158dc526b707fc6",
    batch_size=128,
    epochs=10,
    optimizer={"weight_decay": 0.1, "clip": 1.0, "warmup": 0.01, "schedule": "cosine to a tenth"},
    note="of 1e-3 and 2e-3, each with batches of 128 and 256, which the authors try on every task",
)


def _caduceus(
    kind: str,
    parameters: int,
    *,
    length: int,
    d_model: int = 256,
    n_layers: int,
    aliases: tuple[str, ...] = (),
    revision: str | None = None,
    sha256: str | None = None,
    bytes_: int | None = None,
) -> ModelCard:
    long = length > 1024
    size = "" if long else "-1k" + ("" if d_model == 256 else f"-d{d_model}")
    repo = f"caduceus-{kind}_seqlen-{'131k' if long else '1k'}_d_model-{d_model}_n_layer-{n_layers}" + (
        "" if long else "_lr-8e-3"
    )
    source = WeightsSource(
        repo=f"kuleshov-group/{repo}",
        revision=revision,
        files=("model.safetensors", "config.json"),
        sha256=sha256,
        size=bytes_,
        licence="Apache-2.0",
    )
    averaging = {
        "ph": "reads both strands and averages them (the authors' post-hoc conjoining), except in training",
        "ps": "averages the two strands in its channels, as the authors' pooling does",
    }
    return ModelCard(
        name=f"caduceus-{kind}{size}",
        kind="encoder",
        aliases=(*aliases, repo),
        summary=f"Caduceus-{kind.capitalize()}: {n_layers} bidirectional Mamba layers, {d_model} channels, single nucleotides",
        backbone="caduceus",
        config={"d_model": d_model, "n_layers": n_layers, "rcps": kind == "ps", "max_length": length},
        weights=(source,),
        pooling="mean",
        pooling_source="the authors' classifier averages over positions, and both strands",
        max_length=length,
        n_parameters=parameters,
        paper=_CADUCEUS_REFERENCE,
        licence_code="Apache-2.0",
        licence_weights="Apache-2.0",
        notes=(
            _SELF_CHECKED,
            averaging[kind],
            "no compiled kernel: about 2 s per kb and strand on one CPU core at 16 layers; mamba-ssm is used on a GPU if asked for",
        ),
        pretraining=_BASENJI_SPLIT,
        finetuning=_CADUCEUS_FINETUNING,
    )


_CADUCEUS = (
    _caduceus(
        "ph",
        7_725_312,
        length=131_072,
        n_layers=16,
        aliases=("caduceus-ph-131k",),
        revision="b0477522ac5d044ad03578aa724ec8e4bdbd405b",
    ),
    _caduceus(
        "ps",
        7_725_312,
        length=131_072,
        n_layers=16,
        aliases=("caduceus-ps-131k",),
        revision="d89eeb853136ea64da7feb3d0c8e909771b17ae6",
        sha256="a3e6976fe90460ff5d90d371b457d0263dc65e156ea5651b4a452e98228daef2",
        bytes_=30_937_760,
    ),
    _caduceus(
        "ph",
        1_934_592,
        length=1024,
        n_layers=4,
        revision="9865108985311772704c2ece0bac082153a6167b",
        sha256="7180a75f6cb08029309eda31d85b45623c7f095cc83f0f797c5a34b64f1f70de",
        bytes_=7_746_792,
    ),
    _caduceus("ps", 1_934_592, length=1024, n_layers=4),
    _caduceus("ph", 470_702, length=1024, d_model=118, n_layers=4),
    _caduceus("ps", 470_702, length=1024, d_model=118, n_layers=4),
)

# --- all ------------------------------------------------------------------------------------------------------------------

BACKBONES: tuple[BackboneCard, ...] = (
    BackboneCard(
        name="hyenadna",
        factory="findna_baselines.hyenadna:HyenaDNA",
        summary="long implicit convolutions over single nucleotides, causal",
        reference=_HYENA_REFERENCE,
    ),
    BackboneCard(
        name="dnabert2",
        factory="findna_baselines.dnabert2:DNABERT2",
        summary="post-norm transformer with ALiBi and gated GELU over byte pairs",
        reference=_DNABERT2_REFERENCE,
    ),
    BackboneCard(
        name="nucleotide-transformer-v2",
        factory="findna_baselines.nucleotide_transformer_v2:NucleotideTransformerV2",
        summary="pre-norm transformer with rotary positions and SwiGLU over 6-mers",
        reference=_NT_REFERENCE,
    ),
    BackboneCard(
        name="nucleotide-transformer-v1",
        factory="findna_baselines.nucleotide_transformer_v1:NucleotideTransformerV1",
        summary="ESM-1b over 6-mers (transformers' class)",
        reference=_NT_REFERENCE,
    ),
    BackboneCard(
        name="dnabert",
        factory="findna_baselines.dnabert:DNABERT",
        summary="BERT over overlapping k-mers (transformers' class)",
        reference=_DNABERT_REFERENCE,
    ),
    BackboneCard(
        name="caduceus",
        factory="findna_baselines.caduceus:Caduceus",
        summary="bidirectional Mamba over single nucleotides, strand-symmetric",
        reference=_CADUCEUS_REFERENCE,
    ),
    BackboneCard(
        name="transformers-encoder",
        factory="findna_baselines.transformers_encoder:TransformersEncoder",
        summary="any encoder of the transformers library, for hf:ORG/NAME and path:FOLDER",
        reference="github.com/huggingface/transformers",
    ),
)

MODELS: tuple[ModelCard, ...] = (*_HYENADNA, *_DNABERT2, *_NUCLEOTIDE_TRANSFORMER, *_DNABERT, *_CADUCEUS)
