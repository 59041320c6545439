"""Copy recall: what looks copies up reaches the best score at every distance, what cannot see them nothing, and so does a control."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import findna_bench as fb
from findna_bench.sequences.alphabet import reverse_complement
from findna_bench.testing import check
from findna_plugins.copy_recall import KINDS, generate
from findna_plugins.suites.copy_recall_suite import TASKS

CARDS = {card.name: card for card in TASKS}
MASK, K = 5, 8


class Copier(fb.Backbone):
    """Knows a hidden base by the k bases before it, and by those behind it, wherever else they stand, on either strand."""

    embed_dim, n_layers, mask_token = 4, 1, MASK

    def __init__(self, longest: int | None = None) -> None:
        super().__init__()
        self.max_length = longest
        self.unused = nn.Parameter(torch.zeros(1))

    def tokenizer_digest(self) -> str:
        return "letters"

    def tokenize(self, sequences: Sequence[str]) -> fb.TokenBatch:
        width = max(map(len, sequences))
        codes = torch.full((len(sequences), width), 6)
        for row, sequence in enumerate(sequences):
            codes[row, : len(sequence)] = torch.tensor(["ACGTN".index(base) for base in sequence])
        mask = codes != 6
        return fb.TokenBatch(
            codes, mask, torch.zeros_like(mask), mask.long(), torch.tensor([len(s) for s in sequences])
        )

    def forward(self, batch: fb.TokenBatch, *, layers: Sequence[int] | None = None) -> fb.Encoding:
        states = nn.functional.one_hot(batch.inputs.clamp(max=3), 4).float()
        return fb.Encoding(states, layers=None if layers is None else dict.fromkeys(layers, states))

    def logits(self, batch: fb.TokenBatch) -> Tensor:
        found = torch.zeros(*batch.inputs.shape, 7)
        for row, place in torch.nonzero(batch.inputs == MASK).tolist():
            text = "".join("ACGTN?."[code] for code in batch.inputs[row].tolist()).rstrip(".")
            for base in self.votes(text, place):
                found[row, place, "ACGT".index(base)] += 5.0
        return found

    @staticmethod
    def votes(text: str, place: int) -> list[str]:
        """Bases that stand where the site would be, beside every other occurrence of its neighbours."""
        turned, there = reverse_complement(text.replace("?", "N")), len(text) - 1 - place
        before, behind = text[place - K : place], text[place + 1 : place + 1 + K]
        found = []
        for strand, own in ((text, place), (turned, there)):
            for start in range(len(strand) - K):
                if strand[start : start + K] == before and start + K != own:
                    found.append(strand[start + K])
                if start and strand[start : start + K] == behind and start - 1 != own:
                    found.append(strand[start - 1])
        return [base for base in found if base in "ACGT"]


def run(model: object, tasks: list[str], out: Path) -> dict[str, fb.Result]:
    found = fb.run(
        [model],  # type: ignore[list-item]
        [f"copy-recall/{name}" for name in tasks],
        protocol="zero_shot",
        device="cpu",
        sanity=False,
        output_dir=out,
    )
    for result in found:
        assert result.status == "success", result.error
    return {result.task.name.partition("/")[2] or result.task.name: result for result in found}


def test_what_looks_copies_up_recalls_them_at_every_distance(tmp_path: Path) -> None:
    found = run(Copier(), list(KINDS), tmp_path / "r")
    for kind in ("exact", "inverted"):
        groups = found[kind].metrics.groups
        assert list(groups) == [f"{distance} bases" for distance in (64, 128, 256, 512, 1024)]
        assert all(group["auroc"] == 1.0 and group["n"] == 80 for group in groups.values())
    assert found["mutated"].metrics.main.value > 0.85  # some neighbours of the site are changed on both of its sides
    assert abs(found["control"].metrics.main.value - 0.5) < 0.1


def test_a_model_sees_copies_as_far_as_it_reads(tmp_path: Path) -> None:
    groups = run(Copier(longest=300), ["exact"], tmp_path / "r")["exact"].metrics.groups
    assert [groups[f"{distance} bases"]["auroc"] for distance in (64, 128)] == [1.0, 1.0]
    assert all(abs(groups[f"{distance} bases"]["auroc"] - 0.5) < 0.2 for distance in (512, 1024))


def test_a_random_network_recalls_nothing(tmp_path: Path) -> None:
    found = run("findna-tiny@random", ["exact", "control"], tmp_path / "r")
    assert all(abs(result.metrics.main.value - 0.5) < 0.1 for result in found.values())


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_what_they_are_said_to_be(kind: str) -> None:
    config = {**CARDS[kind].config, "rows": 20}
    table = generate(config)["test"]
    segment, same = config["segment"], []
    for row, window in enumerate(table.sequences):
        offset, ref, alt = (table.extra[name][row] for name in ("offset", "ref", "alt"))
        distance = int(table.extra["element"][row].split()[0])
        assert window[offset] == ref != alt
        copied = alt if table.labels[row] else ref
        whole = window[:offset] + copied + window[offset + 1 :]
        first, second = whole[16 : 16 + segment], whole[16 + distance : 16 + distance + segment]
        same.append(np.mean([a == b for a, b in zip(first, second, strict=True)]))
        assert first[offset - 16 - distance] == copied or kind not in ("exact", "mutated")
        if kind == "inverted":
            assert reverse_complement(first) == second
    expected = {"exact": 1.0, "mutated": 0.9, "inverted": 0.25, "control": 0.25}[kind]
    assert np.mean(same) == pytest.approx(expected, abs=0.04)
    others = generate({**config, "kind": "control"})["test"]
    assert others.extra["alt"].tolist() == table.extra["alt"].tolist()


def test_test_rows_alone_pass_check() -> None:
    assert check("copy-recall/inverted").passed
