"""Cards say what the models are: parameter counts of all published sizes, names as users write them, licences."""

from __future__ import annotations

import subprocess
import sys

import pytest

from findna_bench.models.loading import backbone_class, build_on_meta, count_parameters, load_model
from findna_bench.models.spec import parse_model
from findna_bench.registry import get_registry

# Encoder, and with the pretraining head (None: tied, no parameters of its own), from the published checkpoints.
PUBLISHED = {
    "hyenadna-tiny-1k": (436_096, 438_144),
    "hyenadna-tiny-1k-d256": (1_641_088, 1_645_184),
    "hyenadna-tiny-16k": (436_096, 438_144),
    "hyenadna-small-32k": (3_277_568, 3_281_664),
    "hyenadna-medium-160k": (6_550_528, 6_554_624),
    "hyenadna-medium-450k": (6_550_528, 6_554_624),
    "hyenadna-large-1m": (6_550_528, 6_554_624),
    "dnabert2": (116_477_952, 117_074_176),
    "nt-500m-human": (478_798_561, 485_699_306),
    "nt-500m-1000g": (478_798_561, 485_699_306),
    "nt-2500m-multi": (2_530_727_041, 2_547_801_226),
    "nt-2500m-1000g": (2_530_727_041, 2_547_801_226),
    "nt-v2-50m": (53_534_401, 55_904_972),
    "nt-v2-100m": (95_518_561, 97_889_132),
    "nt-v2-250m": (231_370_369, 235_120_780),
    "nt-v2-500m": (493_084_113, 498_345_436),
    "dnabert-6": (88_600_320, 89_196_549),
    "dnabert-5": (86_241_024, 86_834_181),
    "dnabert-4": (85_651_200, 86_243_589),
    "dnabert-3": (85_503_744, 86_095_941),
    "caduceus-ph": (7_725_312, None),
    "caduceus-ps": (7_725_312, None),
    "caduceus-ph-1k": (1_934_592, None),
    "caduceus-ps-1k": (1_934_592, None),
    "caduceus-ph-1k-d118": (470_702, None),
    "caduceus-ps-1k-d118": (470_702, None),
}
# Bases that are read at once: as papers and names say, for Nucleotide Transformer 6 by token ([CLS] is none), for DNABERT 510 k-mers.
BASES = {
    "hyenadna-tiny-1k": 1_024,
    "hyenadna-tiny-1k-d256": 1_024,
    "hyenadna-tiny-16k": 16_384,
    "hyenadna-small-32k": 32_768,
    "hyenadna-medium-160k": 160_000,
    "hyenadna-medium-450k": 450_000,
    "hyenadna-large-1m": 1_000_000,
    "dnabert2": 10_000,
    **dict.fromkeys(("nt-500m-human", "nt-500m-1000g", "nt-2500m-multi", "nt-2500m-1000g"), 6 * 999),
    **dict.fromkeys(("nt-v2-50m", "nt-v2-100m", "nt-v2-250m", "nt-v2-500m"), 6 * 2_047),
    **{f"dnabert-{k}": 510 + k - 1 for k in (6, 5, 4, 3)},
    **dict.fromkeys(("caduceus-ph", "caduceus-ps"), 2**17),
    **dict.fromkeys(("caduceus-ph-1k", "caduceus-ps-1k", "caduceus-ph-1k-d118", "caduceus-ps-1k-d118"), 1_024),
}
ALIASES = {
    "hyenadna": "hyenadna-tiny-1k",
    "hyenadna-small-32k-seqlen-hf": "hyenadna-small-32k",
    "DNABERT-2-117M": "dnabert2",
    "nt-500m-human-ref": "nt-500m-human",
    "nt-2500m-multi-species": "nt-2500m-multi",
    "nucleotide-transformer-v2-500m-multi-species": "nt-v2-500m",
    "dnabert": "dnabert-6",
    "DNA_bert_3": "dnabert-3",
    "caduceus-ps_seqlen-131k_d_model-256_n_layer-16": "caduceus-ps",
}


def test_every_published_encoder_has_a_count() -> None:
    ours = {
        e.card.name for e in get_registry().entries("models") if e.plugin == "baselines" and e.card.kind == "encoder"
    }
    assert ours == set(PUBLISHED) == set(BASES)


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_have_the_published_parameter_count(name: str) -> None:
    spec = parse_model(name)
    _, cls = backbone_class(spec, None, get_registry())
    backbone = build_on_meta(cls, spec.card.config)
    encoder, whole = PUBLISHED[name]
    assert count_parameters(backbone) == encoder == spec.card.n_parameters
    assert count_parameters(backbone, head=True) == (whole or encoder)
    assert backbone.max_length == spec.card.max_length == BASES[name]
    assert backbone.causal == spec.card.causal


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_names_as_users_write_them(alias: str, name: str) -> None:
    assert get_registry().resolve("models", alias).card.name == name


def test_cards_say_source_licence_and_pooling() -> None:
    for name in PUBLISHED:
        card = get_registry().resolve("models", name).card
        assert card.weights, name
        assert all(source.repo and source.files and source.licence for source in card.weights), name
        assert card.pooling_source, name
        assert card.pretraining is not None, name
        assert card.paper, name
        if name.startswith("nt-"):
            assert card.licence_weights == "CC-BY-NC-SA-4.0"
            assert any("no commercial use" in note for note in card.notes)


def test_cards_are_read_without_torch() -> None:
    program = "import sys, findna_baselines as b; b.findna_bench_models(); sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_dnabert2_without_its_tokenizer_says_what_to_fetch() -> None:
    from findna_bench.errors import BenchError

    with pytest.raises(BenchError, match=r"tokenizer\.json.*findna-bench fetch dnabert2"):
        load_model("dnabert2@random", offline=True)


@pytest.mark.parametrize("name", ["hyenadna-tiny-1k", "caduceus-ph-1k-d118"])
def test_random_weights_are_drawn_from_their_seed(name: str) -> None:
    first, again, other = (load_model(f"{name}@random{seed}") for seed in ("", "", ":1"))
    states = [dict(model.backbone.named_parameters()) for model in (first, again, other)]
    assert all((states[0][k] == states[1][k]).all() for k in states[0])
    assert any((states[0][k] != states[2][k]).any() for k in states[0])
    assert (first.trained, first.n_parameters) == (False, PUBLISHED[name][0])
