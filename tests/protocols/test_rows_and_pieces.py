"""How rows are divided, cut into pieces, put into portions and joined with scores from elsewhere: tables worked out by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import nn

from findna_bench.data.table import SequenceTable
from findna_bench.errors import DataError, ModelError, UnsupportedError, UsageError
from findna_bench.models.backbone import TokenBatch
from findna_bench.models.windows import WindowPolicy
from findna_bench.protocols.encoder_head import (
    EncoderHead,
    Reading,
    choose_trainable,
    cut_tokens,
    layer_parameters,
    make_head,
)
from findna_bench.protocols.fine_tuning_run import planned_steps
from findna_bench.protocols.row_portions import RowPortions, first_limit
from findna_bench.protocols.score_files import ScoreFile
from findna_bench.protocols.seed_splits import (
    SeedSplit,
    few_shot_rows,
    few_shot_split,
    softmax,
    with_reverse_strand,
)
from findna_bench.protocols.settings import FineTuning
from findna_bench.protocols.variant_scores import _distance, _folds, variant_pairs
from findna_bench.protocols.zero_shot import ZeroShot
from findna_bench.testing.objective_checks import OneTokenPerBase

# ------------------------------------------------------------------------------------------------------------ seeds' rows


def test_shots_are_drawn_class_by_class_from_one_generator() -> None:
    labels = np.array([2, 0, 0, 2, 0, 5, 5, 2, 0])
    for shots, seed in ((1, 0), (2, 0), (2, 3)):
        generator = np.random.default_rng([seed, shots])
        expected = [generator.choice(np.flatnonzero(labels == label), shots, replace=False) for label in (0, 2, 5)]
        assert few_shot_rows(labels, shots, seed).tolist() == sorted(np.concatenate(expected).tolist())


@pytest.mark.parametrize(
    ("names", "of"),
    [((), "class 5"), (("a", "b", "c", "d", "e", "f"), "class f"), (("a", "b", "c", "d", "e"), "no label")],
)
def test_a_class_with_fewer_rows_than_shots_is_named(names: tuple[str, ...], of: str) -> None:
    labels = np.array([2, 0, 0, 2, 0, 5, 5, 2, 0])
    with pytest.raises(UnsupportedError) as refused:
        few_shot_rows(labels, 3, 0, names)
    assert str(refused.value) == f"3 shots asked for, but 2 training rows are of {of}: ask for 2 or fewer"


@pytest.mark.parametrize(("shots", "n_folds"), [(1, 0), (2, 2), (4, 4), (5, 5), (7, 5)])
def test_folds_deal_out_each_class_evenly_and_hold_out_every_shot_once(shots: int, n_folds: int) -> None:
    labels, train = np.arange(60) % 3, np.arange(5, 60)
    split = few_shot_split(labels, train, np.arange(60), shots, 4)
    assert split.train.tolist() == train[few_shot_rows(labels[train], shots, 4)].tolist()
    assert (len(split.validation), split.seed) == (0, 4)
    assert split.folds is not None
    assert len(split.folds) == n_folds
    held = np.concatenate([own for _, own in split.folds]) if n_folds else np.zeros(0)
    assert sorted(held.tolist()) == (split.train.tolist() if n_folds else [])
    for rest, own in split.folds:
        assert sorted([*rest.tolist(), *own.tolist()]) == split.train.tolist()
        counts = np.bincount(labels[own], minlength=3)
        assert counts.min() >= shots // n_folds
        assert counts.max() <= -(-shots // n_folds)
    assert few_shot_split(labels, train, np.arange(60), shots, 4, choose=False).folds == ()


def test_rows_of_a_group_are_held_out_together_unless_a_class_would_be_missing() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    related = np.array([0, 1, 0, 2, 3, 4, 5, 6])
    split = few_shot_split(labels, np.arange(8), related, 4, 0)
    assert split.folds is not None
    for _, held in split.folds:
        own = set(held.tolist())
        assert {0, 2} <= own or not {0, 2} & own
    one_group = np.array([0, 0, 0, 0, 1, 2, 3, 4])
    apart = few_shot_split(labels, np.arange(8), one_group, 4, 0)
    assert apart.folds is not None
    assert [len(held) for _, held in apart.folds] == [2, 2, 2, 2]


def test_a_split_knows_its_rows() -> None:
    rows, held = np.arange(4), np.arange(4, 6)
    plain = SeedSplit(1, rows, held)
    assert plain.key == SeedSplit(9, rows.copy(), held.copy()).key
    assert len({plain.key, SeedSplit(1, rows[1:], held).key, SeedSplit(1, rows, held[:1]).key}) == 3
    folds = ((rows[:2], rows[2:]), (rows[2:], rows[:2]))
    folded = SeedSplit(1, rows, held[:0], folds)
    assert folded.key != SeedSplit(1, rows, held[:0], folds[::-1]).key
    assert folded.key != SeedSplit(1, rows, held[:0]).key
    assert plain.parts == ((rows, held),)
    assert folded.parts == folds
    assert plain.held_out() is plain
    assert [part.tolist() for part in (folded.held_out().train, folded.held_out().validation)] == [[0, 1], [2, 3]]
    empty = SeedSplit(1, rows, held[:0], ())
    assert (empty.parts, empty.held_out()) == ((), empty)


@pytest.mark.parametrize("csr", [False, True])
def test_rows_of_the_other_strand_are_trained_on_and_never_held_out(csr: bool) -> None:
    forward, labels = np.arange(12.0).reshape(6, 2), np.array([0, 1, 0, 1, 0, 1])
    rows = np.arange(4)
    splits = [
        SeedSplit(0, rows, np.arange(4, 6)),
        SeedSplit(1, rows, rows[:0], ((rows[:2], rows[2:]), (rows[2:], rows[:2]))),
        SeedSplit(2, rows, rows[:0], ()),
    ]
    given = (sparse.csr_matrix(forward), sparse.csr_matrix(-forward)) if csr else (forward, -forward)
    features, twice, doubled = with_reverse_strand(*given, labels, splits)
    dense = features.toarray() if csr else features
    assert dense.tolist() == [*forward.tolist(), *(-forward).tolist()]
    assert twice.tolist() == [*labels, *labels]
    assert [split.train.tolist() for split in doubled] == [[0, 1, 2, 3, 6, 7, 8, 9]] * 3
    assert doubled[0].validation.tolist() == [4, 5]
    assert doubled[0].folds is None
    assert [(a.tolist(), b.tolist()) for a, b in doubled[1].folds or ()] == [
        ([0, 1, 6, 7], [2, 3]),
        ([2, 3, 8, 9], [0, 1]),
    ]
    assert doubled[2].folds == ()


def test_softmax_is_along_the_last_axis_whatever_the_size() -> None:
    logits = np.array([[[0.0, np.log(3)], [1000.0, 1000.0]], [[-1000.0, 0.0], [2.0, 2.0]]])
    np.testing.assert_allclose(softmax(logits), [[[0.25, 0.75], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]])
    assert softmax(logits.astype(np.float32)).dtype == np.float64


# ----------------------------------------------------------------------------------------------------------------- pieces


def test_pieces_stand_where_they_were_cut_and_share_their_row() -> None:
    pieces = Reading(WindowPolicy.parse("window:4"), 6, both_strands=True).pieces(["AAAACCCCGG", "ACG"])
    assert pieces.sequences == ["AAAACC", "GGTTTT", "CCCCGG", "CCGGGG", "ACG", "CGT"]
    assert pieces.owner.tolist() == [0, 0, 0, 0, 1, 1]
    assert pieces.start.tolist() == [0, 0, 4, 4, 0, 0]
    assert pieces.turned.tolist() == [False, True] * 3
    assert pieces.share.tolist() == [0.25, 0.25, 0.25, 0.25, 0.5, 0.5]
    assert pieces.n_rows == 2
    unequal = Reading(WindowPolicy.parse("window"), 6).pieces(["AAAACCCCG"])
    assert unequal.sequences == ["AAAACC", "CCG"]
    assert unequal.share == pytest.approx([6 / 9, 3 / 9])
    assert unequal.turned.tolist() == [False, False]


@pytest.mark.parametrize(
    ("window", "span", "other"),
    [
        ("truncate", (0, 4), "GTTT"),
        ("truncate-middle", (2, 6), "GGGT"),
        ("window", (0, 8), "GGGGGTTT"),
    ],
)
def test_the_other_strand_is_that_of_what_is_read(window: str, span: tuple[int, int], other: str) -> None:
    reading = Reading(WindowPolicy.parse(window), 4)
    assert reading.span(8) == span
    assert reading.other_strand("AAACCCCC") == other
    assert Reading(WindowPolicy.parse(window), None).span(8) == (0, 8)


def batch(ids: list[list[int]]) -> TokenBatch:
    """0 is padding, 1 and 2 are special, others stand for three bases."""
    inputs = torch.tensor(ids)
    mask = inputs > 0
    special = (inputs == 1) | (inputs == 2)
    return TokenBatch(inputs, mask, special, (mask & ~special).int() * 3, torch.zeros(len(ids)))


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (6, [[1, 5, 6, 7, 8, 2], [1, 5, 2, 0, 0, 0], [5, 6, 7, 8, 9, 0]]),
        (5, [[1, 5, 6, 7, 2], [1, 5, 2, 0, 0], [5, 6, 7, 8, 9]]),
        (3, [[1, 5, 2], [1, 5, 2], [5, 6, 7]]),
        (2, [[1, 2], [1, 2], [5, 6]]),
    ],
)
def test_tokens_are_cut_to_most_and_a_last_special_one_stays_last(most: int, expected: list[list[int]]) -> None:
    given = batch([[1, 5, 6, 7, 8, 2], [1, 5, 2, 0, 0, 0], [5, 6, 7, 8, 9, 0]])
    cut = cut_tokens(given, most)
    assert cut.inputs.tolist() == expected
    again = batch(expected)
    for name in ("mask", "special", "spans"):
        assert getattr(cut, name).tolist() == getattr(again, name).tolist()
    assert given.inputs.shape == (3, 6)


def test_heads_are_drawn_in_order_by_fan_in() -> None:
    linear = make_head(4, 3, FineTuning(head_dropout=0.25), torch.Generator().manual_seed(1))
    assert [type(layer) for layer in linear] == [nn.Dropout, nn.Linear]
    assert linear[0].p == 0.25
    pooler = make_head(4, 3, FineTuning(head="pooler"), torch.Generator().manual_seed(1))
    assert [type(layer) for layer in pooler] == [nn.Linear, nn.Tanh, nn.Dropout, nn.Linear]
    assert (pooler[0].weight.shape, pooler[3].weight.shape) == ((4, 4), (3, 4))
    generator = torch.Generator().manual_seed(1)
    for layer in (pooler[0], pooler[3]):
        for value in (layer.weight, layer.bias):
            drawn = torch.empty(value.shape).uniform_(-0.5, 0.5, generator=generator)
            assert torch.equal(value, drawn)


class Stacked(OneTokenPerBase):
    """Two layers of two modules each, an embedding before them and a norm after them."""

    def __init__(self) -> None:
        super().__init__()
        self.n_layers = 2
        del self.head
        self.blocks = nn.ModuleList(nn.Linear(8, 8) for _ in range(4))
        self.few = nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)])
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 5)


def moving(backbone: Any) -> set[str]:
    return {
        name.partition(".")[0] + name.partition(".")[2][:1] * name.startswith("blocks")
        for name, p in backbone.named_parameters()
        if p.requires_grad
    }


def test_layers_are_frozen_from_below_and_the_pretraining_head_always() -> None:
    depths = [[tuple(p.shape) for p in group] for group in layer_parameters(Stacked())]
    assert depths == [[(8, 5), (8,), (8, 8, 5), (8,)], [(8, 8), (8,)] * 2, [(8, 8), (8,)] * 2]
    every = {"embedding", "convolution", "blocks0", "blocks1", "blocks2", "blocks3", "few", "norm"}
    for freeze, frozen in {
        0: set[str](),
        1: {"embedding", "convolution", "blocks0", "blocks1"},
        2: {"embedding", "convolution", "blocks0", "blocks1", "blocks2", "blocks3"},
        -1: every,
    }.items():
        backbone = Stacked()
        choose_trainable(backbone, FineTuning(freeze_layers=freeze))
        assert moving(backbone) == every - frozen
        assert backbone.gradient_checkpointing is False
    checkpointed = Stacked()
    choose_trainable(checkpointed, FineTuning(gradient_checkpointing=True))
    assert checkpointed.gradient_checkpointing is True
    with pytest.raises(UsageError, match=r"^freeze_layers 3: the model has 2 layers; -1 freezes all$"):
        choose_trainable(Stacked(), FineTuning(freeze_layers=3))
    with pytest.raises(UnsupportedError) as refused:
        choose_trainable(OneTokenPerBase(), FineTuning(freeze_layers=1))
    assert str(refused.value) == (
        "OneTokenPerBase does not keep its layers in one list, so they can be frozen or adapted only as a whole"
    )


@pytest.mark.parametrize("combination", [None, "concat"])
def test_logits_are_of_the_mean_over_pieces_and_of_pairs_of_both_sides(combination: str | None) -> None:
    backbone = OneTokenPerBase()
    reading = Reading(WindowPolicy.parse("window"), 5)
    texts = ["ACGTACGTA", "GGC", "TTTTTTT", "CA"]
    pieces = reading.pieces(texts)
    head = nn.Linear(8 if combination is None else 16, 3)
    net = EncoderHead(backbone, head, "mean", combination)
    with torch.no_grad():
        found = net(backbone.tokenize(pieces.sequences), pieces)
        means = [backbone(backbone.tokenize([text])).tokens[0].mean(0) for text in pieces.sequences]
        rows = torch.stack(
            [sum(means[i] * float(pieces.share[i]) for i in np.flatnonzero(pieces.owner == row)) for row in range(4)]
        )
        if combination is not None:
            rows = torch.cat([rows[:2], rows[2:]], dim=1)
        np.testing.assert_allclose(found.numpy(), head(rows).numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "rows", "expected"),
    [
        ({"batch_size": 8, "epochs": 3}, 20, (3, 9)),
        ({"batch_size": 8, "epochs": 3}, 16, (2, 6)),
        ({"batch_size": 8, "epochs": 3, "drop_last": True}, 20, (2, 6)),
        ({"batch_size": 32, "epochs": 3, "drop_last": True}, 20, (1, 3)),
        ({"batch_size": 8, "epochs": 3, "min_steps": 10}, 20, (3, 10)),
        ({"batch_size": 8, "epochs": 3, "min_steps": 9}, 20, (3, 9)),
        ({"batch_size": 8, "epochs": 3, "max_steps": 8}, 20, (3, 8)),
        ({"batch_size": 8, "epochs": 3, "max_steps": 10}, 20, (3, 9)),
        ({"batch_size": 8, "epochs": 0}, 20, (3, 1)),
        ({"batch_size": 8, "epochs": 3, "min_steps": 30, "max_steps": 25}, 20, (3, 25)),
    ],
)
def test_steps_of_an_epoch_and_of_all(settings: dict[str, Any], rows: int, expected: tuple[int, int]) -> None:
    assert planned_steps(FineTuning(**settings), rows) == expected


# --------------------------------------------------------------------------------------------------------------- portions


class TwoSpecial(OneTokenPerBase):
    def token_counts(self, lengths: Any) -> list[int]:
        return [length + 2 for length in lengths]


def portions(
    batch_size: int | str = "auto", window: str = "truncate", longest: int | None = None, both: bool = False
) -> RowPortions:
    model: Any = SimpleNamespace(backbone=TwoSpecial(), name="net", device=torch.device("cpu"))
    return RowPortions(model, Reading(WindowPolicy.parse(window), longest, both), batch_size)


ROWS = [("A" * 8,), ("C" * 2,), ("G" * 5,), ("T" * 8,)]


@pytest.mark.parametrize(
    ("batch_size", "limit", "expected"),
    [
        ("auto", None, [[1, 2, 0, 3]]),
        ("auto", 40, [[1, 2, 0, 3]]),
        ("auto", 39, [[1, 2, 0], [3]]),
        ("auto", 20, [[1, 2], [0, 3]]),
        ("auto", 9, [[1], [2], [0], [3]]),
        (3, None, [[1, 2, 0], [3]]),
        ("1", 40, [[1], [2], [0], [3]]),
    ],
)
def test_portions_hold_so_many_tokens_and_rows_at_most(batch_size: Any, limit: int | None, expected: Any) -> None:
    assert [rows.tolist() for rows in portions(batch_size).divide(ROWS, limit)] == expected


def test_costs_are_tokens_of_all_pieces_of_a_row() -> None:
    # 8 bases in windows of 3: 3, 3 and 2 of them, each with two special tokens
    assert [rows.tolist() for rows in portions(window="window", longest=3).divide(ROWS, 14 * 4)] == [[1, 2, 0, 3]]
    assert [rows.tolist() for rows in portions(window="window", longest=3).divide(ROWS, 14 * 4 - 1)] == [[1, 2, 0], [3]]
    assert [rows.tolist() for rows in portions(both=True).divide(ROWS, 80)] == [[1, 2, 0, 3]]
    assert [rows.tolist() for rows in portions(both=True).divide(ROWS, 79)] == [[1, 2, 0], [3]]
    pairs = [("A" * 8, "C"), ("A", "A")]
    assert [rows.tolist() for rows in portions().divide(pairs, 26)] == [[1, 0]]
    assert [rows.tolist() for rows in portions().divide(pairs, 25)] == [[1], [0]]


def test_a_portion_that_did_not_fit_is_halved_down_to_a_row() -> None:
    some = portions()
    assert some.halved(ROWS, None) == 20
    assert some.halved(ROWS, 20) == 10
    assert some.halved(ROWS[:3], None) == 15
    assert some.halved([("A" * 8,), ("A",)], None) == 10
    for rows, limit in ((ROWS, 10), (ROWS[:1], None)):
        with pytest.raises(torch.OutOfMemoryError) as refused:
            some.halved(rows, limit)
        assert str(refused.value) == (
            "net: training on one row of 10 tokens does not fit into the memory of cpu; use gradient checkpointing, frozen layers, a shorter window "
            "or another device"
        )


def test_portions_are_tokenized_side_by_side() -> None:
    pairs = [("AC", "GGG"), ("TTTTT", "A")]
    (both,) = portions().tokenized(pairs, None)
    assert both.rows.tolist() == [1, 0] or both.rows.tolist() == [0, 1]
    first, second = (pairs[row] for row in both.rows)
    assert both.pieces.sequences == [first[0], second[0], first[1], second[1]]
    assert both.tokens.mask.sum(1).tolist() == [len(text) for text in both.pieces.sequences]
    assert both.pinned(torch.device("cpu")) is both
    assert [portion.rows.tolist() for portion in portions(1).tokenized(ROWS, None)] == [[1], [2], [0], [3]]


def test_coverage_counts_bases_rows_that_are_cut_and_windows() -> None:
    def counts(total: int, seen: int, cut: int, windows: int) -> dict[str, int]:
        return {
            "bases_total": total,
            "bases_seen": seen,
            "truncated_sequences": cut,
            "windows": windows,
            "short_sequences": 0,
        }

    assert portions().coverage(ROWS, by_tokens=False) == counts(23, 23, 0, 4)
    assert portions(longest=5).coverage(ROWS, by_tokens=False) == counts(23, 17, 2, 4)
    assert portions(window="window:2", longest=4).coverage(ROWS, by_tokens=False) == counts(23, 23, 0, 9)
    cut = portions()
    tokenize = cut.model.backbone.tokenize
    cut.model.backbone.tokenize = lambda sequences: cut_tokens(tokenize(sequences), 3)  # type: ignore[method-assign]
    assert cut.coverage(ROWS, by_tokens=True) == counts(23, 11, 3, 4)
    assert cut.coverage(ROWS, by_tokens=False) == counts(23, 23, 0, 4)


def test_a_first_portion_is_bounded_where_memory_is_the_machines() -> None:
    assert [first_limit(torch.device(name)) for name in ("cpu", "cuda")] == [16_384, None]


# --------------------------------------------------------------------------------------------------------------- variants


def variants(*rows: tuple[str, int, str, str], **extra: Any) -> SequenceTable:
    windows, offsets, ref, alt = zip(*rows, strict=True)
    named = {"offset": np.array(offsets), "ref": np.array(ref), "alt": np.array(alt), **extra}
    return SequenceTable(
        list(windows), np.zeros(len(rows), np.int64), np.array([f"v{i}" for i in range(len(rows))]), extra=named
    )


@pytest.mark.parametrize(
    ("row", "longest", "expected"),
    [
        (("ACGTACGT", 2, "G", "T"), None, ("ACGTACGT", "ACTTACGT", 2)),
        (("ACGTACGT", 2, "G", "T"), 8, ("ACGTACGT", "ACTTACGT", 2)),
        (("ACGTACGT", 4, "A", "T"), 4, ("GTAC", "GTTC", 2)),
        (("ACGTACGT", 4, "A", "T"), 5, ("GTACG", "GTTCG", 2)),
        (("ACGTACGT", 0, "A", "T"), 4, ("ACGT", "TCGT", 0)),
        (("ACGTACGT", 1, "C", "T"), 4, ("ACGT", "ATGT", 1)),
        (("ACGTACGT", 7, "T", "A"), 4, ("ACGT", "ACGA", 3)),
        (("ACGTACGT", 4, "AC", ""), 6, ("GTAC", "GT", 2)),
        (("ACGTACGT", 4, "", "TT"), 6, ("GTAC", "GTTTAC", 2)),
        (("ACGTACGT", 4, "", "TT"), 8, ("CGTACG", "CGTTTACG", 3)),
    ],
)
def test_windows_are_cut_around_the_site_and_hold_as_much_as_fits(
    row: tuple[str, int, str, str], longest: int | None, expected: tuple[str, str, int]
) -> None:
    assert variant_pairs(variants(row), longest) == [expected]
    reference, other, place = expected
    turned = {"A": "T", "C": "G", "G": "C", "T": "A"}
    back = tuple("".join(turned[base] for base in reversed(text)) for text in (reference, other))
    from_end = len(reference) - place - max(len(row[2]), 1)
    assert variant_pairs(variants(row), longest, "reverse") == [(*back, from_end)]


def test_groups_are_held_out_one_by_one_or_dealt_out_largest_first() -> None:
    few = np.repeat([3, 1, 2], [2, 4, 3])
    masks = list(_folds(few))
    assert [sorted(set(few[mask].tolist())) for mask in masks] == [[1], [2], [3]]
    sizes = np.array([9, 7, 5, *[1] * 20])
    many = np.repeat(np.arange(23), sizes)
    masks = list(_folds(many))
    assert len(masks) == 20
    assert sum(mask.astype(int) for mask in masks).tolist() == [1] * len(many)
    loads, expected = [0] * 20, {}
    for name in sorted(range(23), key=lambda group: -sizes[group]):
        expected[name] = loads.index(min(loads))
        loads[expected[name]] += int(sizes[name])
    for number, mask in enumerate(masks):
        assert {int(name) for name in many[mask]} == {name for name, fold in expected.items() if fold == number}


def test_distances_are_euclidean_or_one_less_the_cosine() -> None:
    one = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0], [1.0, 1.0]], np.float32)
    other = np.array([[0.0, 0.0], [0.0, 2.0], [1.0, 0.0], [-2.0, -2.0]], np.float32)
    np.testing.assert_allclose(_distance("l2", one, other), [5.0, 5**0.5, 1.0, 18**0.5])
    np.testing.assert_allclose(_distance("cosine", one, other), [np.nan, 1.0, np.nan, 2.0], atol=1e-12)


ASKED = {
    "search": None,
    "shots": (),
    "selection": "validation",
    "combination": None,
    "strand": "forward",
    "protocol": "zero_shot",
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"search": 3}, "--search is for --protocol finetune; zero_shot has no settings to choose on validation"),
        ({"shots": (2,)}, "--shots: --protocol zero_shot trains nothing and chooses nothing; leave it out"),
        ({"selection": "test"}, "--selection: --protocol zero_shot trains nothing and chooses nothing; leave it out"),
        (
            {"combination": "concat"},
            "--combination concat: --protocol zero_shot compares both windows of a variant and combines no vectors; leave it out",
        ),
        (
            {"strand": "rc-augment"},
            "--strand rc-augment: --protocol zero_shot knows forward, and rc-mean for the mean over both strands",
        ),
    ],
)
def test_what_zero_shot_cannot_mean_is_refused(changes: dict[str, Any], words: str) -> None:
    protocol = ZeroShot()
    for strand in ("forward", "rc-mean"):
        protocol.check(SimpleNamespace(**{**ASKED, "strand": strand}))
    with pytest.raises(UsageError, match=f"^{re.escape(words)}$"):
        protocol.check(SimpleNamespace(**{**ASKED, **changes}))


# ------------------------------------------------------------------------------------------------------- scores from elsewhere


def scores(path: Path, text: str) -> ScoreFile:
    path.write_text(text)
    return ScoreFile(path)


@pytest.mark.parametrize(
    ("text", "joined_by"),
    [
        ("id,score\nv0,1\nv1,-2.5\n", ["id"]),
        ("chrom,pos,ref,alt,score\nchr1,103,G,T,1\nchr1,205,A,-,-2.5\n", ["chrom", "pos", "ref", "alt"]),
        ("#chr,position,ref,alt,score\n1,103,g,t,1\n1,205,A,.,-2.5\n", ["chrom", "pos", "ref", "alt"]),
        ("element,offset,ref,alt,score\ne,2,G,T,1\nf,4,A,,-2.5\n", ["element", "offset", "ref", "alt"]),
        (
            "sequence,offset,ref,alt,score\nacgtacgt,2,G,T,1\nTTTTACGT,4,A,-,-2.5\n",
            ["sequence", "offset", "ref", "alt"],
        ),
    ],
)
def test_scores_are_joined_by_whatever_names_a_variant(tmp_path: Path, text: str, joined_by: list[str]) -> None:
    if text.startswith("#"):
        text = text.removeprefix("#")
    table = replace(
        variants(
            ("ACGTACGT", 2, "G", "T"),
            ("TTTTACGT", 4, "A", ""),
            ("ACGTACGT", 5, "C", "G"),
            element=np.array(["e", "f", "e"]),
        ),
        contig=np.array(["1", "1", "1"]),
        start=np.array([100, 200, 300]),
        end=np.array([108, 208, 308]),
    )
    file = scores(tmp_path / "s.csv", text)
    assert file.settings == {"joined_by": joined_by, "scores": 2}
    np.testing.assert_array_equal(file.score(table), [1.0, -2.5, np.nan])
    np.testing.assert_array_equal(file.predict_scores(table), [[1.0], [-2.5], [np.nan]])


def test_variants_that_were_moved_are_found_where_they_were(tmp_path: Path) -> None:
    table = variants(("ACCCGT", 1, "C", ""), ("ACCCGT", 4, "G", "T"), given_variant=np.array(["3 C ", "4 G T"]))
    file = scores(tmp_path / "s.csv", "sequence,offset,ref,alt,score\nACCCGT,3,C,-,7\n")
    np.testing.assert_array_equal(file.score(table), [7.0, np.nan])
    both = scores(tmp_path / "b.csv", "sequence,offset,ref,alt,score\nACCCGT,3,C,-,7\nACCCGT,1,C,-,5\nACCCGT,4,G,T,\n")
    assert both.settings["scores"] == 2
    np.testing.assert_array_equal(both.score(table), [5.0, np.nan])


def test_files_of_scores_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    lacking = f"{path}: columns {{}}; give score, and id, or chrom, pos, ref and alt, or offset, ref and alt with element or sequence"
    for text, words in {
        "id,value\nv0,1\n": lacking.format("id, value"),
        "score,pos,ref,alt\n1,2,A,C\n": lacking.format("score, pos, ref, alt"),
        "id,score\nv0,high\n": f"{path}, row 2 (the header is row 1): score 'high' is no number",
        "id,score\nv0,1\nv0,1\n": f"{path}, row 3 (the header is row 1): a second score of one variant (v0)",
    }.items():
        with pytest.raises(DataError) as refused:
            scores(path, text)
        assert str(refused.value) == words
    table = variants(("ACGT", 2, "G", "T"))
    with pytest.raises(DataError) as refused:
        scores(path, "id,score\nx,1\n").score(table)
    assert str(refused.value) == f"{path} has a score for none of the 1 variants, joined by id"
    with pytest.raises(DataError) as refused:
        scores(path, "chrom,pos,ref,alt,score\n1,2,A,C,1\n").score(table)
    assert str(refused.value) == f"{path} is joined by chrom, pos, ref, alt, and the task knows no chrom and pos"
    with pytest.raises(ModelError) as refused_fit:
        scores(path, "id,score\nx,1\n").fit(table, table, 0, 2)
    assert (
        str(refused_fit.value)
        == f"{path}: scores that were computed elsewhere are not fitted; use --protocol zero_shot"
    )
