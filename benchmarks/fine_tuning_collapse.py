"""Why does a self-distilled FinDNA fine-tune worse on `motif_order` than one of masked nucleotides alone? Four cheap experiments.

    findna-bench pretrain findna-tiny --fasta chrX.fa.gz --fasta chr22.fa.gz --seed 1 -o networks/distilled-1
    findna-bench pretrain findna-tiny --objective masked_nucleotide --fasta chrX.fa.gz --fasta chr22.fa.gz --seed 1 -o networks/masked-1
    python benchmarks/fine_tuning_collapse.py --networks networks --fasta chrX.fa.gz --fasta chr22.fa.gz --work work

1. ``features``: what frozen networks say of the order of two motifs, the effective rank and scale of their features, what their [CLS]
   places hold, and gradients of the head, of the encoder and of both parts of the pretraining loss. No training.
2. ``fine-tuning``: training loss, validation and test, with other learning rates, rescaled features, or a layer drawn anew (`RUNS`).
3. ``continued``: the network of masked nucleotides trained on for a few steps with each setting of self-distillation (`CHANGES`): which
   of them take away what fine-tuning needs? Two of these networks are then fine-tuned; give their measurements first.
4. ``begun``: the same settings from random weights, equal steps and windows.

One thread, one seed. What is measured is kept in the folder ``--work``, a file each, and not measured again; ``--only`` names those that
are wanted. Writes ``fine_tuning_collapse.json`` and ``.md``, of what is there.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from findna_bench.api import encode_padded, load_task
from findna_bench.data.splits import draw_validation
from findna_bench.data.table import SequenceTable
from findna_bench.files import write_json
from findna_bench.grid import markdown_table
from findna_bench.models.embedding import embed
from findna_bench.models.loading import LoadedModel, load_model
from findna_bench.protocols.fine_tuning import FineTuning, LabelledRows
from findna_bench.protocols.fine_tuning_run import FineTuneOptions, FineTuningRun
from findna_bench.protocols.logistic import fit_paths
from findna_bench.protocols.settings import LogisticProbe
from findna_bench.requests.pretrain_request import PretrainRequest
from findna_bench.results.environment import environment, environment_line
from findna_bench.training.launch import pretrain
from findna_plugins.bases import BLANK
from findna_plugins.objectives.nucleotides import base_batch
from findna_plugins.objectives.self_distillation import SelfDistillation

TASK = "demo/motif_order"
MASKED, DISTILLED, SHIPPED, UNTRAINED = "masked-1", "distilled-1", "findna-tiny", "findna-tiny@random"
PRESET = {
    "alpha": 0.9,
    "mnm_reduction": "mean",
    "cl_reduction": "mean",
    "teacher_momentum": 0.99,
    "translocation_maximum": 20,
}
"""Of the objective in the preset findna-tiny."""
N_CLS = 10
COMMAND = (
    "python benchmarks/fine_tuning_collapse.py --networks networks --fasta GRCh37_chrX_1-69999930.fa.gz "
    "--fasta GRCh37_chr22_epo_blocks.fa.gz"
)
"""As `scripts/pages.toml` has it."""

MASKED_ALONE = "masked nucleotides alone"
CHANGES: Mapping[str, Mapping[str, Any]] = {
    "preset findna-tiny": {},
    "alpha 1 (nothing contrastive)": {"alpha": 1.0},
    "alpha 0.99": {"alpha": 0.99},
    "both temperatures times ten": {"teacher_temperature": 0.4, "student_temperature": 1.0},
    "softmax over channels": {"cl_softmax": "channels"},
    "symmetric": {"symmetric": True},
    "teacher temperature 0.1": {"teacher_temperature": 0.1},
    "teacher momentum 0.9": {"teacher_momentum": 0.9},
    "teacher momentum 0.999": {"teacher_momentum": 0.999},
    "alpha 0.5": {"alpha": 0.5},
}
"""Name -> what differs from the preset."""
CONTINUED = {"steps": 60, "windows": 960, "lr": 1e-3}
BEGUN = {"steps": 200, "windows": 3200, "lr": 3e-3}
COMMON = {"window_length": 150, "validation_windows": 200, "batch_size": 16, "seed": 1}


@dataclass(frozen=True)
class Run:
    """One fine-tuning. features: of what is pooled, ``plain``, ``standardised`` on train rows, or ``as NETWORK``: multiplied so that
    their mean standard deviation is that network's. drawn_anew: number of the layer whose weights are random instead, 0 = none."""

    network: str
    lr: float
    steps: int = 200
    features: str = "plain"
    drawn_anew: int = 0

    @property
    def name(self) -> str:
        words = [self.network, f"{self.lr:g}", f"{self.steps} steps"]
        words += [f"features {self.features}"] if self.features != "plain" else []
        return ", ".join([*words, *([f"layer {self.drawn_anew} drawn anew"] if self.drawn_anew else [])])


RUNS = (
    Run(MASKED, 1e-3, 300),
    Run(SHIPPED, 1e-3, 300),
    Run(SHIPPED, 3.2e-3),
    Run(SHIPPED, 1e-3, features="standardised"),
    Run("continued-preset-findna-tiny", 1e-3),
    Run("continued-both-temperatures-times-ten", 1e-3),
    Run(MASKED, 1e-3, features=f"as {SHIPPED}"),
    Run(MASKED, 1e-3, drawn_anew=2),
)


@dataclass(frozen=True)
class Place:
    """Where things are found and kept."""

    networks: Path
    work: Path
    fasta: tuple[Path, ...]
    data_dir: Path | None

    def load(self, network: str) -> LoadedModel:
        """A network by its name: a folder of ``networks`` or ``work``, or a registered model."""
        if (made := self.work / "networks" / network / "config.json").is_file():
            return load_model(f"path:{made.parent}", network="student", device="cpu")  # the teacher lags behind
        if (given := self.networks / network / "config.json").is_file():
            return load_model(f"path:{given.parent}", device="cpu")
        return load_model(network, device="cpu")


@cache
def rows() -> tuple[LabelledRows, SequenceTable]:
    """Train and validation rows as `run` draws them for seed 0, and the test rows."""
    task = load_task(TASK)
    table = task.load("train")
    train, validation = draw_validation(table, 0)
    return LabelledRows(table.take(train), table.take(validation), 2), task.load("test")


# ------------------------------------------------------------------------------------------------------ frozen features


def effective_rank(vectors: Tensor) -> float:
    """exp of the entropy of the shares of variance along principal axes; (n, C) -> 1 to C."""
    shares = torch.linalg.svdvals((vectors - vectors.mean(0)).double()) ** 2
    shares = shares / shares.sum()
    return float(torch.exp(-(shares * shares.clamp_min(1e-30).log()).sum()))


def order_distance(pooled: np.ndarray, table: SequenceTable) -> float:
    """Root mean square distance of the two rows of a window, which differ in the order of two motifs alone, as a share of that of
    rows of different windows."""
    order = np.lexsort((table.labels, table.group))
    first, second = pooled[order[::2]], pooled[order[1::2]]
    assert (table.group[order[::2]] == table.group[order[1::2]]).all()
    within = ((first - second) ** 2).sum(1).mean()
    between = ((first - np.roll(first, 1, axis=0)) ** 2).sum(1).mean()
    return float(np.sqrt(within / between))


def explained_by_composition(pooled: np.ndarray, table: SequenceTable) -> float:
    """Share of the variance of pooled features that a linear function of the counts of A, C and G explains."""
    counts = np.array([[sequence.count(base) for base in "ACG"] for sequence in table.sequences], dtype=np.float64)
    design = np.column_stack([np.ones(len(counts)), counts])
    left = pooled - design @ np.linalg.lstsq(design, pooled, rcond=None)[0]
    return float(1 - left.var(0).sum() / pooled.var(0).sum())


def probe(pooled: np.ndarray, labels: np.ndarray, train: np.ndarray, validation: np.ndarray) -> float:
    """Validation accuracy of the linear probe at its best strength on validation loss."""
    preset = LogisticProbe()
    paths = fit_paths(pooled, labels, [train], 2, preset.strengths, max_iterations=preset.max_iterations)
    logits = np.einsum("nd,kcd->knc", pooled[validation], paths.weights[0]) + paths.intercepts[0][:, None]
    log_p = logits - np.logaddexp.reduce(logits, axis=2, keepdims=True)
    losses = -log_p[:, np.arange(len(validation)), labels[validation]].mean(1)
    return float((logits[losses.argmin()].argmax(1) == labels[validation]).mean())


def cls_places(model: LoadedModel, sequences: Sequence[str]) -> dict[str, float]:
    """Of the outputs at ten blank rows appended: mean standard deviation over sequences and over the ten places, and effective rank."""
    codes = torch.from_numpy(encode_padded(sequences).copy())
    blank = codes.new_full((len(codes), N_CLS), BLANK)
    with torch.no_grad():
        outputs = model.backbone(base_batch(torch.cat([codes, blank], dim=1), N_CLS)).tokens[:, -N_CLS:]
    return {
        "over sequences": float(outputs.std(0).mean()),
        "over places": float(outputs.mean(0).std(0).mean()),
        "effective rank": effective_rank(outputs.flatten(0, 1)),
    }


def loss_gradients(model: LoadedModel, sequences: Sequence[str]) -> dict[str, float]:
    """Norms of the gradients of both parts of the preset's loss, as weighted, in the blocks; and the cosine between them.

    The teacher is the network itself, the centre that of this batch.
    """
    codes, found = torch.from_numpy(encode_padded(sequences).copy()), []
    for alpha in (1.0, 0.0):
        objective = SelfDistillation(model.backbone, **{**PRESET, "alpha": alpha})
        with torch.no_grad():
            objective.training_step(codes, 0, torch.Generator().manual_seed(1))
        objective.centre.beta = 0.0
        objective.centre.update()
        loss = objective.training_step(codes, 0, torch.Generator().manual_seed(2))["loss"]
        blocks = [p for name, p in model.backbone.named_parameters() if name.startswith("layers.")]
        found.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, blocks)]))
    masked, contrastive = PRESET["alpha"] * found[0], (1 - PRESET["alpha"]) * found[1]
    cosine = torch.nn.functional.cosine_similarity(masked, contrastive, dim=0)
    return {"masked": float(masked.norm()), "contrastive": float(contrastive.norm()), "cosine": float(cosine)}


def first_gradient(model: LoadedModel) -> dict[str, float]:
    """Of the first 128 train rows at step 0 of fine-tuning: norms of what is left of the gradient when it is taken between the two
    orders of the same windows, for the head's weights and for the encoder."""
    data, _ = rows()
    chosen = np.lexsort((data.train.labels, data.train.group))[:128]
    run = FineTuningRun(model, data, FineTuning(lr=1e-3, epochs=1), 0, FineTuneOptions())
    batch = run.model.backbone.tokenize([data.train.sequences[row] for row in chosen])
    pooled = run.net.backbone(batch).tokens.mean(1)
    logits = run.net.head(pooled - pooled.mean(0).detach())
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(data.train.labels[chosen]))
    encoder = [p for name, p in run.net.backbone.named_parameters() if name.startswith("layers.")]
    head = run.net.head[-1].weight
    gradients = torch.autograd.grad(loss, [head, *encoder])
    return {
        "head": float(gradients[0].norm()),
        "encoder": float(torch.cat([g.flatten() for g in gradients[1:]]).norm()),
    }


def composition(place: Place, network: str) -> dict[str, Any]:
    table = load_task(TASK).load("train")
    pooled = embed(place.load(network), table.sequences, pooling="mean").vectors.astype(np.float64)
    return {"share": explained_by_composition(pooled, table)}


def features(place: Place, network: str) -> dict[str, Any]:
    model, table = place.load(network), load_task(TASK).load("train")
    pooled = embed(model, table.sequences, pooling="mean").vectors.astype(np.float64)
    some = list(table.sequences[:128])
    with torch.no_grad():
        states = model.backbone(model.backbone.tokenize(some), layers=[1, 2]).layers
    assert states is not None
    train, validation = draw_validation(table, 0)
    return {
        "layers": [
            {"effective rank": effective_rank(s.flatten(0, 1)), "deviation": float(s.flatten(0, 1).std(0).mean())}
            for s in (states[1], states[2])
        ],
        "pooled effective rank": effective_rank(torch.from_numpy(pooled)),
        "pooled deviation": float(pooled.std(0).mean()),
        "order distance": order_distance(pooled, table),
        "probe": probe(pooled, table.labels, train, validation),
        "cls": cls_places(model, some),
        "loss gradients": loss_gradients(model, some),
        "first gradient": first_gradient(model),
    }


# ---------------------------------------------------------------------------------------------------------- fine-tuning


class Affine(nn.Module):
    """(x - mean) * scale, neither of them trained."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) * self.scale


def fine_tuned(place: Place, wanted: Run) -> dict[str, Any]:
    data, test = rows()
    model = place.load(wanted.network)
    if wanted.drawn_anew:
        other = load_model(f"{UNTRAINED}:7", device="cpu").backbone.layers[wanted.drawn_anew - 1]
        model.backbone.layers[wanted.drawn_anew - 1].load_state_dict(other.state_dict())
    preset = FineTuning(lr=wanted.lr, epochs=1, min_steps=wanted.steps, max_steps=wanted.steps)
    run = FineTuningRun(model, data, preset, 0, FineTuneOptions())
    if wanted.features != "plain":
        run.net.head = nn.Sequential(_affine(place, model, wanted.features), *run.net.head)
    run.train_to_the_end()
    tuned = run.fitted()
    right = tuned.predict_scores(test).argmax(1) == test.labels
    path = tuned.validation["path"]
    return {
        "run": wanted.name,
        "validation accuracy": tuned.validation["accuracy"],
        "validation loss": round(tuned.validation["loss"], 4),
        "test accuracy": float(right.mean()),
        "train loss": [round(entry["train_loss"], 3) for entry in path],
        "losses on validation": [round(entry["loss"], 3) for entry in path],
    }


def _affine(place: Place, model: LoadedModel, kind: str) -> Affine:
    mean, deviation = pooled_moments(model)
    if kind == "standardised":
        return Affine(mean, 1 / deviation)
    _, other = pooled_moments(place.load(kind.removeprefix("as ")))
    return Affine(torch.zeros_like(mean), (other.mean() / deviation.mean()).expand_as(mean).clone())


def pooled_moments(model: LoadedModel) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of pooled features over train rows."""
    sequences = list(rows()[0].train.sequences)[:256]
    vectors = torch.from_numpy(embed(model, sequences, pooling="mean").vectors).float()
    return vectors.mean(0), vectors.std(0)


# ---------------------------------------------------------------------------------------------------------- pretraining


def pretrained(place: Place, kind: str, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What is left after (``continued``) or comes of (``begun``) a short pretraining."""
    folder = place.work / "networks" / f"{kind}-{name.partition(' (')[0].replace(' ', '-')}"
    masked_alone = name == MASKED_ALONE
    options = {"translocation_maximum": 20} if masked_alone else {**PRESET, **CHANGES[name]}
    request = PretrainRequest(
        model="findna-tiny",
        output=folder,
        fasta=place.fasta,
        weights=place.networks / MASKED if kind == "continued" else None,
        objective="masked_nucleotide" if masked_alone else None,
        set={f"objective.{key}": json.dumps(value) for key, value in options.items()},
        device="cpu",
        threads=1,
        data_dir=place.data_dir,
        **COMMON,
        **settings,
    )
    report = pretrain(request, curves=False)
    model, table = place.load(folder.name), load_task(TASK).load("train")
    pooled = embed(model, table.sequences, pooling="mean").vectors.astype(np.float64)
    with torch.no_grad():
        tokens = model.backbone(model.backbone.tokenize(list(table.sequences[:128]))).tokens
    train, validation = draw_validation(table, 0)
    return {
        "cross-entropy": report.validation["mnm"],
        "accuracy": report.validation["accuracy"],
        "effective rank": effective_rank(tokens.flatten(0, 1)),
        "pooled deviation": float(pooled.std(0).mean()),
        "order distance": order_distance(pooled, table),
        "probe": probe(pooled, table.labels, train, validation),
    }


# ---------------------------------------------------------------------------------------------------------------- page


def work_to_do(place: Place) -> dict[str, Callable[[], dict[str, Any]]]:
    """Name of each measurement -> what computes it."""
    todo: dict[str, Callable[[], dict[str, Any]]] = {}
    for network in (MASKED, DISTILLED, SHIPPED, UNTRAINED):
        todo[f"features/{network}"] = lambda network=network: features(place, network)
        todo[f"composition/{network}"] = lambda network=network: composition(place, network)
    for run in RUNS:
        todo[f"fine-tuning/{run.name}"] = lambda run=run: fine_tuned(place, run)
    for kind, settings in (("continued", CONTINUED), ("begun", BEGUN)):
        for name in (MASKED_ALONE, *CHANGES):
            todo[f"{kind}/{name}"] = lambda k=kind, n=name, s=settings: pretrained(place, k, n, s)
    return todo


def page(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown of what is there."""
    of = {
        kind: {name.partition("/")[2]: value for name, value in found.items() if name.startswith(f"{kind}/")}
        for kind in ("features", "composition", "fine-tuning", "continued", "begun")
    }
    lines = [
        f"Why a self-distilled FinDNA fine-tunes worse on `motif_order`: what `{COMMAND}` measures, as its docstring says; one thread; "
        f"{environment_line(environment())}. One pretraining seed and one fine-tuning seed: differences of a few points are noise. Columns and runs are "
        f"called after networks: {MASKED} and {DISTILLED} are the two pretrainings, continued-NAME those of the third table.",
        "",
    ]
    for title, table in (
        ("Frozen features", _features_table(of["features"], of["composition"])),
        ("Fine-tuning", _runs_table(of["fine-tuning"])),
        (_pretraining_title("Masked nucleotides, trained on with", CONTINUED), _changes_table(of["continued"])),
        (_pretraining_title("From random weights", BEGUN), _changes_table(of["begun"])),
    ):
        if table:
            lines += [f"## {title}", "", table, ""]
    return "\n".join(lines)


def _pretraining_title(words: str, settings: Mapping[str, Any]) -> str:
    return f"{words}: {settings['steps']} steps of {COMMON['batch_size']} windows of {COMMON['window_length']} bases, learning rate {settings['lr']:g}"


def _features_table(found: Mapping[str, Mapping[str, Any]], compositions: Mapping[str, Mapping[str, Any]]) -> str:
    if not found:
        return ""
    measures: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "order distance, % of the distance between windows": lambda f: f"{100 * f['order distance']:.2f}",
        "linear probe, validation accuracy %": lambda f: f"{100 * f['probe']:.1f}",
        "effective rank of base features, layer 1 and 2 (of 96)": lambda f: " and ".join(
            f"{layer['effective rank']:.1f}" for layer in f["layers"]
        ),
        "standard deviation of base features, layer 2": lambda f: f"{f['layers'][1]['deviation']:.3f}",
        "effective rank of pooled features": lambda f: f"{f['pooled effective rank']:.1f}",
        "standard deviation of pooled features": lambda f: f"{f['pooled deviation']:.4f}",
        "[CLS] places: standard deviation over sequences; over places": lambda f: (
            f"{f['cls']['over sequences']:.3f}; {f['cls']['over places']:.3f}"
        ),
        "[CLS] places: effective rank": lambda f: f"{f['cls']['effective rank']:.1f}",
        "gradient of the masked loss, as weighted in the preset": lambda f: f"{f['loss gradients']['masked']:.3f}",
        "gradient of the contrastive loss, as weighted": lambda f: f"{f['loss gradients']['contrastive']:.3f}",
        "cosine of the two": lambda f: f"{f['loss gradients']['cosine']:+.2f}",
        "first gradient of fine-tuning by order alone: head": lambda f: f"{f['first gradient']['head']:.2g}",
        "first gradient of fine-tuning by order alone: encoder": lambda f: f"{f['first gradient']['encoder']:.2g}",
    }
    body = [[title, *(read(value) for value in found.values())] for title, read in measures.items()]
    shares = [f"{100 * compositions[name]['share']:.1f}" if name in compositions else "" for name in found]
    body.insert(1, ["variance of pooled features that base composition explains, %", *shares])
    return "\n".join(markdown_table(["", *found], body))


def _runs_table(found: Mapping[str, Mapping[str, Any]]) -> str:
    body = [
        [
            name,
            f"{100 * value['validation accuracy']:.1f}",
            f"{100 * value['test accuracy']:.1f}",
            " ".join(f"{loss:.2f}" for loss in value["train loss"]),
        ]
        for name, value in found.items()
    ]
    return "\n".join(markdown_table(["run", "validation %", "test %", "train loss, by epoch"], body)) if body else ""


def _changes_table(found: Mapping[str, Mapping[str, Any]]) -> str:
    body = [
        [
            name,
            f"{value['cross-entropy']:.4f}",
            f"{100 * value['accuracy']:.1f}",
            f"{value['effective rank']:.1f}",
            f"{value['pooled deviation']:.3f}",
            f"{100 * value['order distance']:.2f}",
            f"{100 * value['probe']:.0f}",
        ]
        for name, value in found.items()
    ]
    heads = [
        "objective",
        "masked cross-entropy, held out",
        "masked accuracy %",
        "effective rank",
        "pooled deviation",
        "order distance %",
        "probe %",
    ]
    return "\n".join(markdown_table(heads, body)) if body else ""


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=Path, required=True, help="folder that holds distilled-1 and masked-1")
    parser.add_argument("--fasta", type=Path, action="append", default=[], help="what the short pretrainings read")
    parser.add_argument("--work", type=Path, default=Path("fine-tuning-collapse"))
    parser.add_argument("--only", action="append", default=[], help="pattern of measurements, as begun/*; repeatable")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/fine_tuning_collapse"))
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    place = Place(arguments.networks, arguments.work, tuple(arguments.fasta), arguments.data_dir)
    found: dict[str, dict[str, Any]] = {}
    for name, compute in work_to_do(place).items():
        record = place.work / f"{name}.json"
        if not record.is_file() and any(fnmatch.fnmatchcase(name, pattern) for pattern in arguments.only or ["*"]):
            began = time.process_time()
            measured = compute()
            record.parent.mkdir(parents=True, exist_ok=True)
            write_json(record, measured | {"cpu_seconds": round(time.process_time() - began, 1)})
            print(name, measured, flush=True)
        if record.is_file():
            found[name] = json.loads(record.read_text(encoding="utf-8"))
    write_json(arguments.output.with_suffix(".json"), found)
    arguments.output.with_suffix(".md").write_text(page(found), encoding="utf-8")
    print(page(found))


if __name__ == "__main__":
    main()
