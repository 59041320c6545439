"""Confirms the baselines with the released weights: on a machine with a network, and best with a GPU.

    python scripts/reproduce_public.py                            # every model: load, digest, count, sanity loss, published numbers
    python scripts/reproduce_public.py --models dnabert2,hyenadna --stage load
    python scripts/reproduce_public.py --random --limit 200       # the machinery alone: random weights, no claim about numbers
    python scripts/reproduce_public.py --weights dnabert2=FOLDER  # weights from disk

Stage ``load``: the checkpoint is fetched at its pinned revision, its digest compared with the card's, every key accounted for, the
parameters counted, the masked- or next-token loss on real sequence (the demo suite's) compared with a uniform guess, and the
conformance checks run. Stage ``numbers``: one published figure per model, where one with a public split is known, is computed
again and compared within the tolerance below. Data have to be fetched before (``findna-bench fetch genomic_benchmarks``, ``gue``).

A tolerance covers what the source does differently (said beside each figure), never more. Prints one line per model and figure, then one
verdict per model, and exits 1 if anything was off, 0 if all that could be tried agreed.

``--output``/reproduced.json is the file to submit, in an issue or a pull request; ``--by "Name, institute"`` signs it. For a confirmed
model it holds the sentence that goes into the ``notes`` of its card in ``baselines/findna_baselines/baseline_cards.py``, in place of
"not yet with the released weights": who confirmed what, when, with which version.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import findna_bench as fb
from findna_bench.errors import BenchError
from findna_bench.models.loading import load_model
from findna_bench.models.sanity import sanity_loss
from findna_bench.models.spec import parse_model
from findna_bench.registry import get_registry
from findna_bench.results.environment import environment
from findna_bench.sequences.reference_samples import reference_sample
from findna_bench.testing import check_model

Status = Literal["confirmed", "off", "not tried"]

NATURE = "doi:10.1038/s41467-025-65823-8, Table 1 (frozen, mean over tokens)"
NATURE_DIFFERS = "their classifier on the embeddings is another one, and their split of the rows may be"
CADUCEUS = "Schiff et al. 2024, arXiv:2403.03234, Table 1 (fine-tuned, five-fold)"
QUOTED = "DNABERT-2's figures as quoted in arXiv:2405.08538, Table 3 (fine-tuned)"

GUE_TABLE = "Zhou et al. 2024, DNABERT-2, arXiv:2306.15006v2, Table 6 (fine-tuned)"


@dataclass(frozen=True)
class Figure:
    """One published number: what was measured, its value as a fraction, and how far ours may be from it."""

    model: str
    task: str
    protocol: str
    metric: str
    value: float
    tolerance: float
    source: str
    differs: str
    preset: str = "default"


NONTATA = "genomic_benchmarks/human_nontata_promoters"
FIGURES = (
    Figure(
        "hyenadna-tiny-1k",
        NONTATA,
        "probe",
        "accuracy",
        0.8001,
        0.03,
        "arXiv:2405.08538, Table 1 (linear probing)",
        "no probing script was released; the preset follows the text",
        preset="findna-paper-inferred",
    ),
    Figure("hyenadna-tiny-1k", NONTATA, "finetune", "accuracy", 0.944, 0.02, CADUCEUS, "five-fold cross-validation"),
    Figure("dnabert2", NONTATA, "probe", "auroc", 0.9297, 0.03, NATURE, NATURE_DIFFERS),
    Figure("dnabert2", "gue/emp_H3", "finetune", "mcc", 0.7827, 0.03, QUOTED, "one seed there", preset="gue-dnabert2"),
    Figure("nt-v2-500m", NONTATA, "probe", "auroc", 0.8905, 0.03, NATURE, NATURE_DIFFERS),
    Figure("caduceus-ph", NONTATA, "probe", "auroc", 0.9426, 0.03, NATURE, NATURE_DIFFERS),
    Figure("caduceus-ps-1k-d118", NONTATA, "finetune", "accuracy", 0.945, 0.02, CADUCEUS, "five-fold cross-validation"),
    Figure("caduceus-ph-1k-d118", NONTATA, "finetune", "accuracy", 0.946, 0.02, CADUCEUS, "five-fold cross-validation"),
    *(
        Figure(model, "gue/emp_H3", "finetune", "mcc", value, 0.04, GUE_TABLE, "their own settings for each k")
        for model, value in (("dnabert-3", 0.7415), ("dnabert-4", 0.7303), ("dnabert-5", 0.7340), ("dnabert-6", 0.7310))
    ),
    *(
        Figure(model, "gue/emp_H3", "finetune", "mcc", value, 0.05, GUE_TABLE, "fine-tuned with LoRA there")
        for model, value in (("nt-500m-1000g", 0.7252), ("nt-2500m-1000g", 0.7461))
    ),
    Figure("nt-500m-human", "gue/emp_H3", "finetune", "mcc", 0.6967, 0.05, QUOTED, "fine-tuned with LoRA there"),
    Figure("nt-2500m-multi", "gue/emp_H3", "finetune", "mcc", 0.7877, 0.05, QUOTED, "fine-tuned with LoRA there"),
)


@dataclass
class Outcome:
    """What happened to one model or figure. status ``not tried``: data, weights or network are missing; words say which."""

    model: str
    what: str
    status: Status
    words: str
    details: dict[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        return f"{self.status:<9}  {self.model:<22}  {self.what:<46}  {self.words}"


@dataclass(frozen=True)
class Verdict:
    """What all outcomes of a model come to. note: for its card, where it is confirmed."""

    model: str
    status: Status
    words: str
    note: str = ""


def verdict(model: str, outcomes: list[Outcome], by: str, date: str) -> Verdict:
    """``confirmed``: its weights and at least one published figure are; one thing that is off makes it ``off``.

    Example:
        >>> verdict("m", [Outcome("m", "loading", "confirmed", ""), Outcome("m", "t probe mcc", "off", "0.1")], "A", "2026-01-01").words
        't probe mcc'
    """
    off = [o.what for o in outcomes if o.status == "off"]
    confirmed = [o for o in outcomes if o.status == "confirmed"]
    figures = [o for o in confirmed if "value" in o.details]
    if off:
        return Verdict(model, "off", ", ".join(off))
    if figures and any(o.what == "loading" for o in confirmed):
        found = "; ".join(f"{o.what} {o.details['ours']:.4f} (published {o.details['value']:.4f})" for o in figures)
        who = f" by {by}" if by else ""
        note = f"confirmed with the released weights{who} on {date}, findna-bench {fb.__version__}: {found}"
        return Verdict(model, "confirmed", found, note)
    tried = ", ".join(o.what for o in confirmed)
    return Verdict(
        model, "not tried", f"confirmed: {tried}; no published figure" if tried else "nothing could be compared"
    )


def baselines() -> list[str]:
    """Names of all encoders of this plugin, small ones first."""
    entries = get_registry().entries("models")
    cards = [e.card for e in entries if e.plugin == "baselines" and e.card.kind == "encoder"]
    return [card.name for card in sorted(cards, key=lambda card: card.n_parameters or 0)]


def reproduce_loading(name: str, options: argparse.Namespace) -> list[Outcome]:
    """Load, digest, count, sanity loss and conformance of one model."""
    text = f"{name}@random" if options.random else name
    weights = None if options.random else options.weights.get(name)
    try:
        model = load_model(parse_model(text), weights=weights, device=options.device, offline=options.offline)
    except BenchError as error:
        return [Outcome(name, "loading", "not tried" if _absent(error) else "off", str(error))]
    card = get_registry().resolve("models", name).card
    details = {
        "weights": model.weights_source,
        "digest": model.weights_digest,
        "card_sha256": card.weights[0].sha256,
        "n_parameters": model.n_parameters,
        "licence": card.licence_weights,
    }
    origin = "random weights" if options.random else f"{model.weights_source}, {model.weights_digest[:23]}"
    status: Status = "not tried" if options.random else "confirmed"
    if not options.random:
        digest = model.weights_digest.removeprefix("sha256:").partition("+")[0]
        known = card.weights[0].sha256
        origin += ", the card's digest" if digest == known else "" if known else ", no digest known to compare with"
        if known and digest != known:
            status, origin = "off", f"{origin}: the card's digest is {known[:16]}"
    if model.n_parameters != card.n_parameters:
        status, origin = "off", f"{origin}: the card says {card.n_parameters:,}"
    outcomes = [Outcome(name, "loading", status, f"{model.n_parameters:,} parameters, {origin}", details)]
    outcomes.append(_sanity(name, model, options.random))
    report = check_model(model)
    failed = "; ".join(f"{c.name}: {c.words}" for c in report.checks if c.status == "failed")
    passed: Status = "not tried" if options.random else "confirmed"
    words = failed or ("all checks passed" + " (with random weights)" * options.random)
    outcomes.append(Outcome(name, "conformance", passed if report.passed else "off", words, report.to_dict()))
    return outcomes


def _sanity(name: str, model: Any, random: bool) -> Outcome:
    human = reference_sample("human")
    assert human is not None
    try:
        found = sanity_loss(model, human.sequences)
    except BenchError as error:
        return Outcome(name, "sanity loss", "not tried", str(error))
    words = f"{found.loss:.3f} +- {found.standard_error:.3f} nats, uniform {found.uniform:.3f}"
    if random:
        status: Status = "off" if found.passed else "not tried"
        return Outcome(name, "sanity loss", status, f"{words} (random weights must not pass)", asdict(found))
    return Outcome(name, "sanity loss", "confirmed" if found.passed else "off", words, asdict(found))


def reproduce_figure(figure: Figure, options: argparse.Namespace) -> Outcome:
    """Compute one published figure again."""
    text = f"{figure.model}@random" if options.random else figure.model
    what = f"{figure.task} {figure.protocol} {figure.metric}"
    given = options.weights.get(figure.model)
    try:
        results = fb.run(
            [text],
            [figure.task],
            protocol=figure.protocol,
            preset=figure.preset,
            seeds=options.seeds,
            weights={text: given} if given and not options.random else {},
            output_dir=options.output,
            data_dir=options.data_dir,
            limit=options.limit,
            device=options.device,
            offline=options.offline,
        )
    except BenchError as error:
        return Outcome(figure.model, what, "not tried", str(error), asdict(figure))
    failed = next((r for r in results if r.status != "success"), None)
    if failed is not None:
        words = failed.error.message if failed.error is not None else failed.status
        return Outcome(figure.model, what, "not tried", words, asdict(figure))
    values = [r.metrics.all[figure.metric] for r in results]
    ours = sum(values) / len(values)
    flags = sorted({flag for r in results for flag in r.flags})
    details = asdict(figure) | {"ours": ours, "values": values, "flags": flags}
    words = f"{ours:.4f}, published {figure.value:.4f} +- {figure.tolerance:.2f} ({figure.source}; {figure.differs})"
    if options.random or options.limit or any(flag.startswith("partial") for flag in flags):
        return Outcome(
            figure.model, what, "not tried", f"{words}; no comparison: {', '.join(flags) or 'limited'}", details
        )
    return Outcome(
        figure.model, what, "confirmed" if abs(ours - figure.value) <= figure.tolerance else "off", words, details
    )


def _absent(error: BenchError) -> bool:
    return "not on this machine" in str(error) or "cannot be reached" in str(error)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", help="comma-separated; default all baselines, small ones first")
    parser.add_argument("--stage", choices=("load", "numbers", "all"), default="all")
    parser.add_argument("--random", action="store_true", help="random weights: tries the machinery, claims nothing")
    parser.add_argument("--weights", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--limit", type=int, help="rows per split; then no figure is compared")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--offline", action="store_true")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--by", default="", metavar="NAME", help="who made this, for the file to submit")
    parser.add_argument("--output", type=Path, default=Path("results-reproduction"))
    options = parser.parse_args()
    options.weights = dict(item.split("=", 1) for item in options.weights)
    return options


def main() -> int:
    options = arguments()
    names = (
        [get_registry().resolve("models", n).card.name for n in options.models.split(",")]
        if options.models
        else baselines()
    )
    outcomes: list[Outcome] = []

    def add(outcome: Outcome) -> None:
        outcomes.append(outcome)
        print(outcome.line(), flush=True)

    for name in names:
        loaded = reproduce_loading(name, options) if options.stage != "numbers" else []
        for outcome in loaded:
            add(outcome)
        if options.stage == "load" or (loaded and loaded[0].what == "loading" and len(loaded) == 1):
            continue
        figures = [figure for figure in FIGURES if figure.model == name]
        for figure in figures:
            add(reproduce_figure(figure, options))
        if not figures:
            add(Outcome(name, "published figure", "not tried", "no figure with a public split is known for this size"))
    created = datetime.now(UTC).isoformat(timespec="seconds")
    verdicts = [verdict(name, [o for o in outcomes if o.model == name], options.by, created[:10]) for name in names]
    print()
    for found in verdicts:
        print(f"{found.status:<9}  {found.model:<22}  {found.words}")
    options.output.mkdir(parents=True, exist_ok=True)
    written = {
        "created": created,
        "by": options.by,
        "random_weights": options.random,
        "findna_bench": fb.__version__,
        "environment": environment(),
        "models": [asdict(found) for found in verdicts],
        "outcomes": [asdict(outcome) for outcome in outcomes],
    }
    (options.output / "reproduced.json").write_text(json.dumps(written, indent=1, default=str))
    counts = {s: sum(found.status == s for found in verdicts) for s in ("confirmed", "off", "not tried")}
    print("\nmodels: " + ", ".join(f"{number} {status}" for status, number in counts.items()))
    print(f"{options.output / 'reproduced.json'} is the file to submit")
    return 1 if counts["off"] else 0


if __name__ == "__main__":
    sys.exit(main())
