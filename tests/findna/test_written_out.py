"""Objectives and FinDNA-T against the same computation written out: the losses of every option, gated attention position by position."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import findna_bench as fb
from findna_bench.api import BenchError, ModelError, TokenBatch, one_hot
from findna_plugins import view_divergence
from findna_plugins.bases import BLANK
from findna_plugins.chordmixer import ChordMixer
from findna_plugins.objectives.centre import Centre
from findna_plugins.objectives.masked_nucleotide import MaskedNucleotide
from findna_plugins.objectives.momentum import momentum
from findna_plugins.objectives.self_distillation import SelfDistillation
from findna_plugins.paired_accuracy import PairedAccuracy
from findna_plugins.transformer import GatedAttentionUnit, Transformer, TransformerBlock, _relative_buckets

K, C, ROWS, LENGTH = 3, 12, 6, 40


def backbone(seed: int = 0) -> ChordMixer:
    torch.manual_seed(seed)
    return ChordMixer(channels=C, track_size=2, hidden=16, layers=2, blocks_per_layer=5)


def codes(seed: int = 0) -> Tensor:
    return torch.randint(0, 4, (ROWS, LENGTH), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# -------------------------------------------------------------------------------------------------------------- objectives


def tokens_of(network: nn.Module, view: Tensor, cls: Tensor | None) -> Tensor:
    """(B, L + K, C) of a view with K rows behind it: blank ones, or those given."""
    rows = one_hot(view) if view.dtype == torch.uint8 else view
    behind = torch.zeros(K, 5) if cls is None else cls
    rows = torch.cat([rows, behind.expand(len(rows), -1, -1)], 1)
    mask = torch.ones(rows.shape[:2], dtype=torch.bool)
    found: Tensor = network(TokenBatch(rows, mask, ~mask, mask.long(), mask.sum(1))).tokens
    return found


def cross_entropy(p: Tensor, q: Tensor, centre: Tensor, hot: float, options: dict[str, Any]) -> dict[str, float]:
    """Of teacher and student, one distribution at a time; p, q: (B, K, I)."""
    axis = 0 if options.get("cl_softmax", "tokens") == "tokens" else 1
    sums, teacher, student, information = [], [], [], []
    all_q = []
    for b in range(len(p)):
        p_hat = torch.softmax(p[b] / options.get("student_temperature", 0.1), axis)
        q_hat = torch.softmax((q[b] - centre) / hot, axis)
        sums.append(float(-(q_hat * p_hat.log()).sum()))
        teacher.append(float(-(q_hat * q_hat.clamp_min(1e-30).log()).sum()))
        student.append(float(-(p_hat * p_hat.clamp_min(1e-30).log()).sum()))
        all_q.append(q_hat)
    mean_q = torch.stack(all_q).mean(0)
    n = p.shape[2] if axis == 0 else p.shape[1]
    information = float(-(mean_q * mean_q.clamp_min(1e-30).log()).sum()) / n - np.mean(teacher) / n
    return {
        "cl_sum": float(np.mean(sums)), "cl": float(np.mean(sums)) / n, "teacher_entropy": float(np.mean(teacher)) / n,
        "student_entropy": float(np.mean(student)) / n, "max_entropy": math.log(p.shape[1 + axis]), "teacher_information": information,
    }  # fmt: skip


def nucleotides(logits: Tensor, target: Tensor, loss: str) -> dict[str, float]:
    total, right = 0.0, 0
    for row, wanted in zip(logits.double(), target.tolist(), strict=True):
        if loss == "ce":
            total -= math.log(float(torch.softmax(row, 0)[wanted]))
        else:
            said = torch.sigmoid(row)
            total -= sum(math.log(float(said[i] if i == wanted else 1 - said[i])) for i in range(5)) / 5
        right += int(row.argmax()) == wanted
    n = len(target)
    return {"mnm": total / n, "mnm_sum": total / ROWS, "accuracy": right / n}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"alpha": 0.2, "mnm_reduction": "mean", "cl_reduction": "mean"},
        {"alpha": 0.0},
        {"alpha": 1.0, "mnm_loss": "bce", "mnm_temperature": 0.3},
        {"cl_softmax": "channels", "student_temperature": 0.3, "teacher_temperature": 0.2},
        {"cl_softmax": "channels", "cl_space": "head", "cl_reduction": "mean"},
        {"cls": "learned", "symmetric": True, "alpha": 0.3},
        {"recipe": "reference", "mask_ratio": 0.6, "translocation_maximum": 3},
        {"teacher_temperature_start": 0.01, "teacher_temperature": 0.05, "teacher_temperature_warmup": 0.4},
    ],
    ids=str,
)
def test_losses_are_those_of_the_equations_with_every_option(options: dict[str, Any]) -> None:
    torch.manual_seed(1)
    objective = SelfDistillation(backbone(), n_cls=K, **options)
    with torch.no_grad():
        for parameter in objective.teacher.network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        objective.centre.value.normal_(0, 0.1)
    objective.progress.fill_(0.1)
    hot = options.get("teacher_temperature", 0.04)
    if "teacher_temperature_start" in options:
        hot = 0.01 + (0.05 - 0.01) * 0.1 / 0.4
    assert float(objective.teacher_temperature()) == pytest.approx(hot)
    text = {"reference": "MNR+T"}.get(options.get("recipe", ""), "MDIT+NR")
    edits = {"M": {"ratio": options.get("mask_ratio", 0.3)}, "T": {"maximum": options.get("translocation_maximum")}}
    views = fb.Recipe(text, edits).views(codes(), generator())
    head, cls = objective.student.head, objective.cls_rows
    assert (cls is None) == ("cls" not in options)

    def compared(network: nn.Module, view: Tensor) -> Tensor:
        summary = tokens_of(network, view, cls)[:, -K:]
        return network.head(summary) if options.get("cl_space") == "head" else summary  # type: ignore[operator]

    with torch.no_grad():
        both = [(compared(objective.student, views.student), compared(objective.teacher.network, views.teacher))]
        if options.get("symmetric"):
            both.append(
                (compared(objective.student, views.teacher), compared(objective.teacher.network, views.student))
            )
        parts = [cross_entropy(p, q, objective.centre.value, hot, options) for p, q in both]
        expected = {name: float(np.mean([part[name] for part in parts])) for name in parts[0]}
        alpha = options.get("alpha", 0.5)
        loss = (1 - alpha) * expected["cl_sum" if options.get("cl_reduction", "sum") == "sum" else "cl"]
        if alpha > 0:
            logits = head(tokens_of(objective.student, views.student, cls)[:, :LENGTH][views.masked])  # type: ignore[operator]
            found = nucleotides(
                logits / options.get("mnm_temperature", 1.0), views.target[views.masked], options.get("mnm_loss", "ce")
            )
            loss += alpha * found["mnm_sum" if options.get("mnm_reduction", "sum") == "sum" else "mnm"]
            expected |= found
    expected |= {"loss": loss, "centre_norm": float(objective.centre.value.norm())}
    result = objective.training_step(codes(), 0, generator())
    assert {name: float(value) for name, value in result.items()} == pytest.approx(expected, rel=2e-4, abs=2e-5)
    seen = torch.cat([q for _, q in both])
    before = objective.centre.value.clone()
    objective.after_step(4, 20)
    torch.testing.assert_close(objective.centre.value, 0.996 * before + 0.004 * seen.mean(0), atol=1e-6, rtol=1e-4)
    assert float(objective.progress) == pytest.approx(5 / 20)


@pytest.mark.parametrize(
    "options", [{}, {"mnm_loss": "bce", "mnm_reduction": "sum"}, {"mask_ratio": 0.7, "recipe": "MD"}], ids=str
)
def test_masked_nucleotides_alone_have_the_same_loss(options: dict[str, Any]) -> None:
    objective = MaskedNucleotide(backbone(), **options)
    edits = {"M": {"ratio": options.get("mask_ratio", 0.3)}}
    view, target, masked = fb.Recipe.of_one_view(options.get("recipe", "MDIT"), edits).student_view(
        codes(), generator()
    )
    mask = torch.ones(ROWS, LENGTH, dtype=torch.bool)
    with torch.no_grad():
        tokens = objective.student(TokenBatch(one_hot(view), mask, ~mask, mask.long(), mask.sum(1))).tokens
        expected = nucleotides(objective.student.head(tokens[masked]), target[masked], options.get("mnm_loss", "ce"))  # type: ignore[operator]
    expected["loss"] = expected["mnm_sum" if options.get("mnm_reduction") == "sum" else "mnm"]
    for found in (objective.training_step(codes(), 0, generator()), objective.validation_step(codes(), generator())):
        assert {name: float(value.detach()) for name, value in found.items()} == pytest.approx(expected, rel=1e-4)


def test_a_batch_without_a_masked_position_has_a_loss_of_zero() -> None:
    result = MaskedNucleotide(backbone(), recipe="M", mask_ratio=0.0).training_step(codes(), 0, generator())
    assert {name: float(value) for name, value in result.items()} == dict.fromkeys(
        ("loss", "mnm", "mnm_sum", "accuracy"), 0.0
    )


def test_static_views_of_a_sequence_follow_from_its_letters_and_the_seed() -> None:
    import zlib

    for seed in (0, 77):
        objective = SelfDistillation(backbone(), n_cls=K, static=True, static_seed=seed)
        views = objective._views(codes(), generator())
        for row, own in enumerate(codes()):
            drawn = torch.Generator().manual_seed(zlib.crc32(bytes(own.tolist())) ^ seed)
            expected = objective.recipe.views(own[None], drawn)
            for name in ("student", "teacher", "target", "masked"):
                assert torch.equal(getattr(views, name)[row], getattr(expected, name)[0]), name


def test_the_teachers_momentum_is_a_half_cosine_and_stays_at_its_end() -> None:
    for step, total, start in ((0, 10, 0.9), (3, 10, 0.99), (10, 10, 0.5), (25, 10, 0.9), (0, 0, 0.9)):
        share = min(step / max(total, 1), 1)
        assert momentum(step, total, start) == pytest.approx(1 - (1 - start) * (1 + math.cos(math.pi * share)) / 2)
    assert momentum(1, 2, 0.8, 0.9) == pytest.approx(0.85)


def test_a_centre_without_outputs_stays_and_starts_anew_after_every_step() -> None:
    centre = Centre((2,), 0.5)
    centre.update()
    assert centre.value.tolist() == [0, 0]
    for outputs, expected in (
        ([[2.0, 4.0], [4.0, 0.0]], [1.5, 1.0]),
        ([[1.5, 1.0]], [1.5, 1.0]),
        ([[0.5, 3.0]], [1.0, 2.0]),
    ):
        centre.collect(torch.tensor(outputs))
        centre.update()
        assert centre.value.tolist() == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cls": "none"}, "self_distillation: cls must be zeros or learned, not 'none'"),
        ({"mnm_loss": "mse"}, "self_distillation: mnm_loss must be ce or bce, not 'mse'"),
        ({"mnm_reduction": "max"}, "self_distillation: mnm_reduction must be sum or mean, not 'max'"),
        ({"cl_softmax": "rows"}, "self_distillation: cl_softmax must be tokens or channels, not 'rows'"),
        ({"cl_space": "tail"}, "self_distillation: cl_space must be features or head, not 'tail'"),
        ({"cl_reduction": "max"}, "self_distillation: cl_reduction must be sum or mean, not 'max'"),
        *(({name: value}, f"self_distillation: {name} must be between 0 and 1, not {value!r}") for name in ("alpha", "centre_momentum", "teacher_momentum") for value in (-0.01, 1.01)),
        *(({name: 0}, f"self_distillation: {name} must be positive, not 0") for name in ("student_temperature", "teacher_temperature", "mnm_temperature", "n_cls")),
    ],
    ids=str,
)  # fmt: skip
def test_options_out_of_range_are_refused_in_a_sentence(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as refused:
        SelfDistillation(backbone(), **options)
    assert str(refused.value) == message


def test_options_at_the_ends_of_their_ranges_are_taken() -> None:
    for value in (0, 1):
        options = SelfDistillation(
            backbone(), alpha=value, centre_momentum=value, teacher_momentum=value, n_cls=1
        ).options
        assert (options.alpha, options.centre_momentum, options.teacher_momentum) == (value, value, value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipe": "M+N"}, "masked_nucleotide: recipe 'M+N' is one view, as in MDIT or mask,deletion"),
        ({"recipe": "DIT"}, "masked_nucleotide: recipe 'DIT' masks nothing; add M, as in MDIT"),
        ({"mnm_loss": "mse"}, "masked_nucleotide: mnm_loss must be ce or bce, not 'mse'"),
        ({"mnm_reduction": "max"}, "masked_nucleotide: mnm_reduction must be sum or mean, not 'max'"),
    ],
    ids=str,
)
def test_options_of_masked_nucleotides_are_refused_in_a_sentence(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as refused:
        MaskedNucleotide(backbone(), **options)
    assert str(refused.value) == message


def test_a_backbone_without_a_nucleotide_head_is_refused() -> None:
    class Headless(nn.Module):
        embed_dim = 4

    with pytest.raises(ModelError) as refused:
        MaskedNucleotide(Headless())  # type: ignore[arg-type]
    assert str(refused.value) == (
        "Headless has no nucleotide head (attribute `head`, C -> 5); the objectives of this plugin need a backbone that reads one token per base"
    )


# ------------------------------------------------------------------------------------------------------------- FinDNA-T


def test_relative_buckets_are_the_librarys_t5_buckets() -> None:
    from transformers.models.t5.modeling_t5 import T5Attention

    places = torch.arange(400)
    for causal in (True, False):
        expected = T5Attention._relative_position_bucket(
            places[None, :] - places[:, None], bidirectional=not causal, num_buckets=32, max_distance=128
        )
        assert torch.equal(_relative_buckets(400, causal), expected)


def test_a_block_is_torchs_pre_norm_encoder_layer() -> None:
    torch.manual_seed(0)
    own, theirs = (
        TransformerBlock(24, 3, 40, 0.0).double(),
        nn.TransformerEncoderLayer(24, 3, 40, 0.0, "gelu", batch_first=True, norm_first=True).double(),
    )
    names = {
        "self_attn.in_proj_": "qkv.",
        "self_attn.out_proj.": "out.",
        "linear1.": "fc1.",
        "linear2.": "fc2.",
        "norm1.": "norm1.",
        "norm2.": "norm2.",
    }
    theirs.load_state_dict(
        {
            f"{there}{kind}": own.state_dict()[f"{here}{kind}"]
            for there, here in names.items()
            for kind in ("weight", "bias")
        }
    )
    x, keys = torch.randn(3, 17, 24).double(), torch.arange(17)[None] < torch.tensor([[17], [9], [1]])
    torch.testing.assert_close(own(x, keys), theirs(x, src_key_padding_mask=~keys))
    torch.testing.assert_close(own(x, None), theirs(x))
    assert [TransformerBlock(24, 3, 40, 0.3).drop.p, TransformerBlock(24, 3, 40, 0.3).dropout] == [0.3, 0.3]


@pytest.mark.parametrize("causal", [True, False])
def test_gated_attention_is_that_of_flash_position_by_position(causal: bool) -> None:
    torch.manual_seed(0)
    group, lengths = 5, (15, 12, 3)
    unit = GatedAttentionUnit(8, 2, 6, group, causal).double()
    with torch.no_grad():
        for parameter in unit.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    x = torch.randn(3, 15, 8).double()
    mask = torch.arange(15)[None] < torch.tensor(lengths)[:, None]
    found = unit(x, mask)
    buckets = _relative_buckets(group, causal)
    for row, length in enumerate(lengths):
        normed = (x[row] - x[row].mean(-1, keepdim=True)) / (
            x[row].var(-1, unbiased=False, keepdim=True) + 1e-5
        ).sqrt() * unit.norm.weight + unit.norm.bias
        hidden = nn.functional.silu(normed @ unit.to_hidden.weight.T + unit.to_hidden.bias)
        value, gate = hidden[:, :16], hidden[:, 16:]
        shared = nn.functional.silu(normed @ unit.to_query_key.weight.T + unit.to_query_key.bias)
        near_q, far_q, near_k, far_k = (shared * unit.scale[i] + unit.offset[i] for i in range(4))
        for i in range(length):
            mixed = torch.zeros(16).double()
            for j in range(length):
                same = i // group == j // group
                if same and (j <= i or not causal):
                    score = near_q[i] @ near_k[j] / group + unit.relative.weight[
                        buckets[i % group, j % group], 0
                    ] * math.sqrt(6)
                    mixed += 0.5 * (1 + torch.erf((score - math.sqrt(0.5)) * math.sqrt(2 * math.pi))) * value[j]
                if not causal or j // group < i // group:
                    mixed += (far_q[i] @ far_k[j]) / (group if causal else length) * value[j]
            expected = x[row, i] + unit.out.weight @ (gate[i] * mixed) + unit.out.bias
            torch.testing.assert_close(found[row, i], expected)


def test_attention_drops_weights_in_training_alone() -> None:
    torch.manual_seed(0)
    block, plain, x = TransformerBlock(8, 2, 16, 0.5), TransformerBlock(8, 2, 16, 0.0), torch.randn(2, 5, 8)
    plain.load_state_dict(block.state_dict())
    block.drop.p = 0.0  # what is left is dropout of the attention weights
    assert torch.equal(block.eval()(x, None), plain(x, None))
    assert not torch.allclose(block.train()(x, None), plain(x, None))


def test_layers_are_embedding_and_places_then_blocks_then_a_norm() -> None:
    torch.manual_seed(0)
    model = Transformer(width=16, layers=2, heads=2, feedforward=24, positions=30).double().eval()
    batch = model.tokenize(["ACGTNACG", "TTG"])
    layers = model(batch, layers=[0, 1, 2]).layers
    assert layers is not None
    for row, sequence in enumerate(("ACGTNACG", "TTG")):
        hot = torch.stack([torch.eye(5)["ACGTN".index(base)] for base in sequence]).double()
        x = hot @ model.embedding.weight.T + model.embedding.bias + model.positions[: len(sequence)]
        torch.testing.assert_close(layers[0][row, : len(sequence)], x)
        for number in (1, 2):
            x = model.layers[number - 1](x[None], None)[0]
            torch.testing.assert_close(layers[number][row, : len(sequence)], model.norm(x) if number == 2 else x)
    torch.testing.assert_close(model.logits(batch)[0], model.head(layers[2][0]))
    assert model.token_counts([1, 7, 100]) == [1, 7, 100]
    assert (model.mask_token, model.max_length, model.embed_dim, model.n_layers) == (BLANK, 30, 16, 2)


def test_operations_of_the_softmax_form_are_those_that_torch_counts() -> None:
    model = Transformer(width=16, layers=3, heads=2, feedforward=24, positions=64).eval()
    batch = model.tokenize(["ACGT" * 10] * 4)
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        model(batch)
    pairs = 3 * 4 * 2 * (2 * 40 * 40 * 16)  # of two products over pairs of positions, in a kernel that is not counted
    assert model.analytic_flops(4, 40) == counted.get_total_flops() + pairs
    assert Transformer(width=16, layers=1, positions=64, attention="gau").analytic_flops(4, 40) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": "linear"}, "Transformer: attention must be softmax or gau, not 'linear'"),
        ({"width": 10, "heads": 4}, "Transformer: width 10 cannot be divided among 4 heads"),
        (
            {"depth": 4},
            "Transformer: Transformer.__init__() got an unexpected keyword argument 'depth'; see `findna-bench describe transformer`",
        ),
    ],
    ids=str,
)
def test_impossible_transformers_are_refused_in_a_sentence(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as refused:
        Transformer.from_config(options)
    assert str(refused.value) == message


def test_heads_do_not_bind_gated_attention_and_what_fits_exactly_is_read() -> None:
    assert Transformer(width=10, heads=4, layers=1, positions=8, attention="gau").causal
    assert not Transformer(width=10, heads=4, layers=1, positions=8, attention="gau", causal=False).causal
    model = Transformer(width=8, heads=2, layers=1, feedforward=8, positions=8).eval()
    assert not model.causal
    mask = torch.ones(1, 9, dtype=torch.bool)
    batch = TokenBatch(torch.zeros(1, 9, 5), mask, ~mask, mask.long(), torch.tensor([9]))
    with pytest.raises(ModelError) as refused:
        model(batch)
    assert str(refused.value) == "this Transformer has 8 positions, the input 9; cut it"
    assert model(model.tokenize(["A" * 8])).tokens.shape == (1, 8, 8)


# ------------------------------------------------------------------------------------- divergence of views, paired accuracy


def divergence_of(
    argv: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["view_divergence", *argv])
    with pytest.raises(SystemExit) as left:
        view_divergence.main()
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


def test_windows_are_drawn_from_every_place_and_printed_beside_the_published_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "g.fa"
    path.write_text(">long\n" + "A" * 999 + "C" + "\n>exact\n" + "G" * 100 + "\n>short\n" + "T" * 99 + "\n")
    drawn = view_divergence._windows(path, 4000, 100, 3)
    assert {len(window) for window in drawn} == {100}
    share = np.mean([window[0] == "G" for window in drawn])
    assert share == pytest.approx(1 / 902, abs=0.003)
    assert np.mean([window[-1] == "C" for window in drawn]) == pytest.approx(1 / 902, abs=0.003)
    seen: list[tuple[int, int, int, Any]] = []
    monkeypatch.setattr(
        view_divergence,
        "_windows",
        lambda fasta, count, length, seed: seen.append((count, length, seed, fasta)) or ["ACGT" * 25],
    )
    asked: list[Any] = []
    monkeypatch.setattr(
        view_divergence, "recipe_divergences", lambda *given: asked.append(given) or {"M+DIT": 0.15926, "MDIT+NR": 0.2}
    )
    assert divergence_of(["--fasta", str(path)], capsys, monkeypatch) == (
        0,
        "recipe\tdivergence\tpublished\nM+DIT\t0.1593\t0.149\nMDIT+NR\t0.2000\t\n",
        "",
    )
    assert seen == [(1000, 1000, 0, path)]
    assert asked == [(["ACGT" * 25], ["M+NoAug", "M+DIT", "MDT+DIT", "MDT+NR", "MDIT+NR"], 0, {"T": {"maximum": None}})]
    divergence_of(
        [
            "--fasta",
            str(path),
            "--recipe",
            "M+N",
            "--windows",
            "5",
            "--length",
            "7",
            "--seed",
            "2",
            "--translocation-maximum",
            "20",
        ],
        capsys,
        monkeypatch,
    )
    assert seen[1] == (5, 7, 2, path)
    assert asked[1][1:] == (["M+N"], 2, {"T": {"maximum": 20}})


def test_divergence_asks_for_one_source_and_long_enough_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "g.fa"
    path.write_text(">a\nACGT\n")
    both = "give --fasta FILE or --task NAME\n"
    for argv in ([], ["--fasta", str(path), "--task", "x/y"]):
        code, out, err = divergence_of(argv, capsys, monkeypatch)
        assert (code, out, err) == (fb.UsageError("").exit_code, "", both)
    code, _, err = divergence_of(["--fasta", str(path), "--length", "5"], capsys, monkeypatch)
    assert err == f"{path}: no record has 5 bases; choose a smaller --length\n"
    assert code == BenchError("").exit_code or code > 0


def test_divergence_is_a_mean_over_positions_of_rows_of_all_lengths() -> None:
    sequences = ["ACGTA" * 20] * 300 + ["A" * 10] * 3
    found = view_divergence.recipe_divergences(sequences, ["M+NoAug"], seed=4)
    drawn, total, positions = torch.Generator().manual_seed(4), 0.0, 0
    for group in (["A" * 10] * 3, ["ACGTA" * 20] * 256, ["ACGTA" * 20] * 44):
        x = torch.tensor([["ACGTN".index(base) for base in sequence] for sequence in group], dtype=torch.uint8)
        views = fb.Recipe("M+NoAug").views(x, drawn)
        u, v = (one_hot(view).double().softmax(-1) for view in (views.student, views.teacher))
        total += float((u * (u.log() - v.log())).sum())
        positions += x.numel()
    assert found == {"M+NoAug": pytest.approx(total / positions, rel=1e-5)}


def test_paired_accuracy_is_the_mean_share_of_other_classes_that_score_less_ties_counting_half() -> None:
    outputs = np.array([[0.2, 0.5, 0.2], [0.9, 0.9, 0.1], [0.3, 0.3, 0.3]])
    truth, weights = np.array([0, 1, 2]), np.array([1.0, 2.0, 5.0])
    shares = np.array([(0 + 0.5) / 2, (0.5 + 1) / 2, 0.5])
    assert PairedAccuracy().compute(truth, outputs, weights) == pytest.approx(float((shares * weights).sum() / 8))
    two = np.array([[0.4, 0.6], [0.6, 0.4]])
    assert PairedAccuracy().compute(np.array([1, 1]), two, np.ones(2)) == 0.5
