"""Does an encoder behave as the harness needs it to? Determinism, padding, batches, strands, lengths, gradients, tokens."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import threading
import unittest
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from findna_bench.errors import BenchError, DataError, UnsupportedError, listed
from findna_bench.models.backbone import TokenBatch
from findna_bench.models.consistency import (
    DEPENDS_ON_BATCH,
    DEPENDS_ON_CALL,
    DEPENDS_ON_PADDING,
    TOLERANCE,
    difference,
    exceeds,
    in_words,
)
from findna_bench.models.embedding import embed
from findna_bench.models.loading import LoadedModel, built_again, load_model
from findna_bench.models.pooling import pool, short_rows
from findna_bench.models.precision import compute_precision
from findna_bench.plugin_code import fault_in_words
from findna_bench.sequences.alphabet import BASES, one_hot
from findna_bench.testing.check_report import Check, Report, Status
from findna_bench.training.objective import reads_base_codes

__all__ = ["CHECKS", "BackboneConformance", "check_encoder", "run_check"]

BFLOAT16_TOLERANCE = 0.1
"""Largest relative distance between an embedding in bfloat16 and in float32."""
_BLANK = len(BASES)
"""Code of a hidden position."""
LONGEST_RUN = 4096
"""Tokens up to which the maximum length is run; beyond, only tokenizing is checked."""


def check_encoder(model: LoadedModel, load_seconds: float | None = None, only: Sequence[str] | None = None) -> Report:
    """Run all checks (or those named in ``only``) on a loaded model; a failing check never stops the others.

    Args:
        model: the model.
        load_seconds: how long loading it took, for the record.
        only: names of :data:`CHECKS`.
    """
    subject = _Subject(model, load_seconds)
    names = CHECKS if only is None else [name for name in CHECKS if name in set(only)]
    return Report("model", model.name, tuple(run_check(name, subject) for name in names))


def run_check(name: str, subject: _Subject) -> Check:
    """One check by name; an exception of the model is a failure with its text."""
    try:
        status, words, details = CHECKS[name](subject)
        return Check(name, status, words, details)
    except UnsupportedError as error:
        return Check(name, "skipped", str(error))
    except BenchError as error:
        return Check(name, "failed", str(error), {"error": type(error).__name__})
    except (Exception, SystemExit) as error:
        return Check(name, "failed", fault_in_words(error), {"error": type(error).__name__})


class BackboneConformance:
    """Subclass it in a plugin's tests, name the model, and pytest runs every check as a test.

    model: as ``--models`` takes it, e.g. ``"my-model@random"``. weights: file or folder. device: default the CPU.
    exempt: names of checks that this model is known not to pass, with the reason; they are skipped with it.
    """

    model: ClassVar[str] = ""
    weights: ClassVar[str | Path | None] = None
    device: ClassVar[str] = "cpu"
    exempt: ClassVar[dict[str, str]] = {}

    @classmethod
    def subject(cls) -> _Subject:
        """The loaded model, once per class."""
        if "_subject" not in cls.__dict__:
            cls._subject = _Subject(load_model(cls.model, weights=cls.weights, device=cls.device, offline=True))
        return cls._subject

    _subject: ClassVar[_Subject]

    def conform(self, name: str) -> None:
        """Raise AssertionError where the check fails, SkipTest where it does not apply."""
        if name in self.exempt:
            raise unittest.SkipTest(self.exempt[name])
        check = run_check(name, self.subject())
        if check.status == "skipped":
            raise unittest.SkipTest(check.words)
        assert check.status != "failed", f"{name}: {check.words}"


# ------------------------------------------------------------------------------------------------------- the subject


class _Subject:
    """A loaded model and the made-up sequences it is tried on."""

    def __init__(self, model: LoadedModel, load_seconds: float | None = None) -> None:
        self.model, self.load_seconds = model, load_seconds
        self._rng = np.random.default_rng(20)

    def dna(self, length: int, letters: str = "ACGT") -> str:
        return "".join(np.array(list(letters))[self._rng.integers(len(letters), size=length)])

    @cached_property
    def sequences(self) -> list[str]:
        """Eight sequences of different lengths, at most 400 bases, within what the model takes."""
        longest = min(400, self.model.max_length or 400)
        return [self.dna(max(1, round(longest * share))) for share in (1, 0.31, 0.77, 0.05, 0.5, 0.123, 0.9, 0.62)]

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """Their embeddings, each computed alone."""
        return self.embed(self.sequences, batch_size=1)

    def embed(self, sequences: Sequence[str], **options: Any) -> NDArray[np.float32]:
        return embed(self.model, list(sequences), **options).vectors

    def tokenize(self, sequences: Sequence[str]) -> TokenBatch:
        return self.model.backbone.tokenize(list(sequences))

    @cached_property
    def reads_codes(self) -> bool:
        """Whether its tokens are the bases themselves, by their codes, so that objectives on codes can train it."""
        return reads_base_codes(self.model.backbone)

    @property
    def pretraining_length(self) -> int:
        return min(64, (self.model.max_length or 66) - 2)

    def hidden(self, batch: TokenBatch) -> Tensor:
        """(B, T, D) last hidden states at positions that are not padding."""
        with torch.no_grad(), compute_precision(self.model.device, torch.float32):
            states: Tensor = self.model.backbone(batch).tokens.float()
        return states

    @staticmethod
    def appended(batch: TokenBatch, inputs: Tensor, n_special: int) -> TokenBatch:
        """The batch with these inputs and blank summary positions after them, as objectives with [CLS] tokens make it."""

        def longer(x: Tensor, value: int) -> Tensor:
            return torch.cat([x, x.new_full((len(x), n_special, *x.shape[2:]), value)], dim=1)

        return TokenBatch(
            inputs=longer(inputs, 0 if inputs.dim() == 3 else _BLANK),
            mask=longer(batch.mask, True),
            special=longer(batch.special, True),
            spans=longer(batch.spans, 0),
            lengths=batch.lengths,
        )

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """Train mode with the backbone's gradients cleared afterwards."""
        backbone = self.model.backbone
        backbone.train()
        try:
            yield
        finally:
            backbone.eval()
            backbone.zero_grad(set_to_none=True)


Outcome = tuple[Status, str, dict[str, Any]]


def _same(a: NDArray[np.float32], b: NDArray[np.float32], what: str, otherwise: str) -> Outcome:
    found = difference(a, b)
    details = {"difference": found, "tolerance": TOLERANCE}
    if exceeds(found):
        return "failed", f"{otherwise} ({in_words(found)})", details
    return "passed", f"{what} (largest difference {found:.1e})", details


# -------------------------------------------------------------------------------------------------------- the checks


def _loads(s: _Subject) -> Outcome:
    """It loads, and every key of its weights is used or ignored for a reason."""
    model = s.model
    details = {
        "n_parameters": model.n_parameters,
        "trained": model.trained,
        "weights": model.weights_source,
        "weights_digest": model.weights_digest,
        "load_s": s.load_seconds,
        "notes": list(model.notes),
    }
    origin = f"weights from {model.weights_source}" if model.trained else "random weights"
    return "passed", f"{model.n_parameters:,} parameters, {origin}, every key accounted for", details


def _reload(s: _Subject) -> Outcome:
    """Built without memory and given its own weights, as a checkpoint is loaded, it is the same network."""
    again = built_again(s.model)
    found = embed(again, s.sequences[:3], batch_size=1).vectors
    otherwise = (
        "loaded with its own weights it gives other embeddings: compute in reset_buffers what no checkpoint holds"
    )
    return _same(s.vectors[:3], found, "loaded with its own weights it gives the same embeddings", otherwise)


def _deterministic(s: _Subject) -> Outcome:
    """The same sequences twice give the same embeddings."""
    again = s.embed(s.sequences, batch_size=1)
    if (again == s.vectors).all():
        return "passed", "the same sequences twice give the same numbers to the last bit", {}
    return _same(s.vectors, again, "the same up to rounding", DEPENDS_ON_CALL)


def _padding(s: _Subject) -> Outcome:
    """An embedding is the same alone and padded in a batch."""
    together = s.embed(s.sequences, batch_size=len(s.sequences))
    return _same(
        s.vectors,
        together,
        "an embedding is the same alone and padded in a batch",
        DEPENDS_ON_PADDING,
    )


def _batch(s: _Subject) -> Outcome:
    """An embedding does not depend on the other sequences in its batch."""
    order = np.arange(len(s.sequences))[::-1]
    backwards = s.embed([s.sequences[i] for i in order], batch_size=3)[order]
    return _same(
        s.vectors,
        backwards,
        "an embedding does not depend on the others in its batch",
        DEPENDS_ON_BATCH,
    )


def _bfloat16(s: _Subject) -> Outcome:
    """In bfloat16 embeddings are finite, and within a tenth of those in float32."""
    low = embed(s.model.with_dtype("bfloat16"), s.sequences, batch_size=len(s.sequences)).vectors
    relative = np.linalg.norm(low - s.vectors, axis=1) / np.maximum(np.linalg.norm(s.vectors, axis=1), 1e-6)
    worst = float(relative.max())
    details = {"relative_distance": worst, "tolerance": BFLOAT16_TOLERANCE}
    if worst <= BFLOAT16_TOLERANCE:
        return "passed", f"bfloat16 is within {100 * worst:.1f} % of float32", details
    return "failed", f"bfloat16 is {100 * worst:.0f} % away from float32; keep what is delicate in float32", details


def _unknown_bases(s: _Subject) -> Outcome:
    """N at any place, or everywhere, gives finite numbers, the same in a batch as alone."""
    base = s.sequences[1]
    cases = ["N", "N" * len(base), base[: len(base) // 2] + "N" * 5 + base[len(base) // 2 :], "N" + base, base + "N"]
    cases = [case[: s.model.max_length] for case in cases]
    return _same(
        s.embed(cases, batch_size=1),
        s.embed(cases, batch_size=len(cases)),
        "N anywhere gives finite numbers, alone and in a batch",
        "N gives other numbers in a batch than alone",
    )


def _lower_case(s: _Subject) -> Outcome:
    """Lower case gives the tokens of upper case."""
    lower, upper = s.tokenize([x.lower() for x in s.sequences]), s.tokenize(s.sequences)
    if lower.inputs.shape == upper.inputs.shape and torch.equal(lower.inputs, upper.inputs):
        return "passed", "lower case gives the same tokens as upper case", {}
    return "failed", "lower case gives other tokens than upper case: upper-case first", {}


def _short(s: _Subject) -> Outcome:
    """Sequences of one to seven bases give finite numbers, the same in a batch as alone."""
    cases = [s.dna(length) for length in range(1, 8)]
    batch = s.tokenize(cases)
    none = int(short_rows(batch).sum())
    words = (
        f"lengths 1 to 7 give finite numbers; {none} of them hold no ordinary token and are pooled over special ones"
    )
    status, found, details = _same(
        s.embed(cases, batch_size=1),
        s.embed(cases, batch_size=len(cases)),
        words,
        "lengths 1 to 7 give other numbers in a batch than alone",
    )
    return status, found, details | {"without_ordinary_token": none}


def _maximum(s: _Subject) -> Outcome:
    """A sequence as long as stated runs, what is beyond is cut and counted, and windows leave no base out."""
    longest = s.model.max_length
    if longest is None:
        embed(s.model, [s.dna(2000)])
        return "passed", "no limit is stated; 2,000 bases run", {"max_length": None}
    tokens = s.model.backbone.token_counts([longest])[0]
    sequence = s.dna(min(longest + 10, 3_000_000))
    details: dict[str, Any] = {"max_length": longest, "tokens": tokens}
    batch = s.tokenize([sequence[:longest]])
    if int(batch.mask.sum()) > tokens:
        return (
            "failed",
            f"token_counts says {tokens} tokens for {longest} bases, there are {int(batch.mask.sum())}",
            details,
        )
    if int(batch.mask.sum()) > LONGEST_RUN:
        return "measured", f"{longest:,} bases are {int(batch.mask.sum()):,} tokens; not run here", details
    found = embed(s.model, [sequence])
    details |= {"coverage": found.coverage}
    if found.coverage["bases_seen"] > longest or not found.coverage["truncated_sequences"]:
        return (
            "failed",
            f"of {longest + 10} bases {found.coverage['bases_seen']} were read, {longest} are stated",
            details,
        )
    whole = embed(s.model, [sequence], window="window")
    if whole.coverage["bases_seen"] < longest:
        return "failed", "windows over a longer sequence leave bases out", details
    return (
        "passed",
        f"{longest:,} bases run; of a longer sequence {found.coverage['bases_seen']:,} are read, and this is counted",
        details,
    )


def _spans(s: _Subject) -> Outcome:
    """Padding stands at the right, and the spans of tokens add up to the bases of a sequence."""
    cases = [*s.sequences, *(x[: len(x) // 2] + "NN" + x[len(x) // 2 + 2 :] for x in s.sequences if len(x) > 10)]
    batch = s.tokenize(cases)
    if ((batch.mask.long().diff(dim=1)) > 0).any():
        return "failed", "there is padding before or between tokens: pad at the right only", {}
    if (batch.special & ~batch.mask).any():
        return "failed", "padding is marked as special", {}
    if (batch.spans[batch.special | ~batch.mask] != 0).any():
        return "failed", "a special token or padding has a span of bases", {}
    lengths = torch.tensor([len(x) for x in cases])
    if not torch.equal(batch.lengths.cpu(), lengths):
        return "failed", "TokenBatch.lengths are not the lengths of the sequences", {}
    covered = batch.spans.sum(dim=1).cpu()
    whole = ~short_rows(batch).cpu()
    if not torch.equal(covered[whole], lengths[whole]):
        row = int((covered != lengths).nonzero()[0])
        return "failed", f"spans of a sequence of {int(lengths[row])} bases add up to {int(covered[row])}", {}
    counts = torch.tensor(s.model.backbone.token_counts(lengths[: len(s.sequences)].tolist()))
    if (batch.mask.sum(1).cpu()[: len(counts)] > counts).any():
        return "failed", "token_counts promises fewer tokens than there are", {}
    return "passed", "spans add up to the bases of each sequence, special tokens and padding have none", {}


def _round_trip(s: _Subject) -> Outcome:
    """Different sequences give different tokens, the same ones the same, whoever shares the batch."""
    base = s.sequences[1][: max(1, min(60, len(s.sequences[1])))]
    changed = [base[:i] + other + base[i + 1 :] for i, old in enumerate(base) for other in "ACGTN" if other != old]
    cases = [base, *changed, base + "A", base[:-1] or "T"]
    batch = s.tokenize(cases)
    ordinary = ~short_rows(batch)
    rows = [
        tuple(ids[mask].reshape(-1).tolist())
        for ids, mask, keep in zip(batch.inputs, batch.mask, ordinary, strict=True)
        if keep
    ]
    if len(set(rows)) != len(rows):
        return "failed", "two different sequences give the same tokens", {}
    for sequence, ids, mask in zip(cases[:5], batch.inputs, batch.mask, strict=False):
        alone = s.tokenize([sequence])
        if not torch.equal(alone.inputs[0][alone.mask[0]], ids[mask]):
            return "failed", "a sequence is tokenized otherwise alone than in a batch", {}
    if s.model.backbone.tokenizer_digest() != s.model.tokenizer_digest:
        return "failed", "the tokenizer's digest is not stable", {}
    return "passed", f"{len(rows)} sequences that differ in one base give different tokens", {}


def _strands(s: _Subject) -> Outcome:
    """Measures how alike the embeddings of the two strands of a sequence are."""
    reverse = s.embed(s.sequences, batch_size=len(s.sequences), strand="reverse")
    found = difference(s.vectors, reverse)
    unit = [v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12) for v in (s.vectors, reverse)]
    strands = float((unit[0] * unit[1]).sum(1).mean())
    n = len(unit[0])
    others = float((unit[0] @ unit[0].T).sum() - n) / (n * (n - 1))
    details = {"difference": found, "cosine_of_strands": strands, "cosine_of_sequences": others}
    if not exceeds(found):
        return "measured", f"the two strands of a sequence have one embedding (difference {found:.1e})", details
    return (
        "measured",
        f"the two strands have different embeddings: cosine {strands:.3f} between strands, {others:.3f} between sequences",
        details,
    )


def _gradients(s: _Subject) -> Outcome:
    """A finite gradient reaches every trainable parameter."""
    backbone, batch = s.model.backbone, s.tokenize(s.sequences[1:4]).to(s.model.device)
    with s.training(), compute_precision(s.model.device, torch.float32):
        pool(backbone(batch), batch, s.model.card.pooling, causal=backbone.causal).square().mean().backward()
        body = {
            name: parameter
            for name, parameter in backbone.named_parameters()
            if parameter.requires_grad and not name.startswith(tuple(backbone.head_prefixes) or ("\0",))
        }
        without = sorted(name for name, parameter in body.items() if parameter.grad is None)
        broken = [name for name, p in body.items() if p.grad is not None and not bool(torch.isfinite(p.grad).all())]
    details = {"parameters": len(body), "without_gradient": without}
    if broken:
        return "failed", f"the gradient of {broken[0]} holds NaN or infinity", details
    if without:
        return "failed", f"no gradient reaches {listed(without, 1)}", details
    return "passed", f"finite gradients reach all {len(body)} trainable tensors", details


def _inputs_untouched(s: _Subject) -> Outcome:
    """A forward pass changes neither its batch nor the weights."""
    batch = s.tokenize(s.sequences[1:4]).to(s.model.device)
    kept = {name: getattr(batch, name).clone() for name in ("inputs", "mask", "special", "spans", "lengths")}
    state = {name: value.clone() for name, value in s.model.backbone.named_parameters()}
    with torch.inference_mode():
        s.model.backbone(batch)
    if any(not torch.equal(getattr(batch, name), value) for name, value in kept.items()):
        return "failed", "the forward pass changes its batch in place", {}
    if any(not torch.equal(value, state[name]) for name, value in s.model.backbone.named_parameters()):
        return "failed", "the forward pass changes its parameters", {}
    return "passed", "a forward pass changes neither its batch nor the weights", {}


def _memory(s: _Subject) -> Outcome:
    """Measures the memory of a forward pass, and of one with gradients."""
    length = min(1000, s.model.max_length or 1000)
    batch = s.tokenize([s.dna(length)]).to(s.model.device)
    backbone = s.model.backbone

    def forward() -> None:
        with torch.inference_mode(), compute_precision(s.model.device, torch.float32):
            backbone(batch)

    def step() -> None:
        with s.training(), compute_precision(s.model.device, torch.float32):
            backbone(batch).tokens.float().square().mean().backward()

    peaks = {}
    for name, work in (("forward", forward), ("forward_backward", step)):
        work()
        _give_back_memory()
        peaks[name] = _peak_bytes(work, s.model.device)
    if None in peaks.values():
        return "skipped", "memory of this process cannot be read on this system", {}
    shown = {name: f"{(peak or 0) / 2**20:.0f} MiB" for name, peak in peaks.items()}
    details = {"bases": length, **{f"{name}_bytes": peak for name, peak in peaks.items()}}
    return "measured", f"{length} bases take {shown['forward']}, with gradients {shown['forward_backward']}", details


def _give_back_memory() -> None:
    """Return what the C allocator holds in reserve to the system, so that the next use of it is seen."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _peak_bytes(work: Callable[[], None], device: torch.device) -> int | None:
    """Memory above what was held before, at its highest: of the allocator on CUDA, of the process (sampled) elsewhere."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return None
    page, done = 4096, threading.Event()

    def resident() -> int:
        return int(statm.read_text().split()[1]) * page

    before = highest = resident()

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.002):
            highest = max(highest, resident())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        work()
        highest = max(highest, resident())
    finally:
        done.set()
        watcher.join()
    return highest - before


def _layers(s: _Subject) -> Outcome:
    """All layers are given when asked for and none otherwise, (B, T, D) each, the last being the last hidden states."""
    backbone = s.model.backbone
    batch = s.tokenize(s.sequences[1:4]).to(s.model.device)
    numbers = tuple(range(backbone.n_layers + 1))
    with torch.inference_mode(), compute_precision(s.model.device, torch.float32):
        plain = backbone(batch)
        found = backbone(batch, layers=numbers)
    details = {"n_layers": backbone.n_layers, "embed_dim": backbone.embed_dim}
    if plain.layers:
        return "failed", "hidden states of layers nobody asked for are kept in memory", details
    if found.layers is None or sorted(found.layers) != list(numbers):
        kept = sorted(found.layers or {})
        return "failed", f"layers 0 to {backbone.n_layers} were asked for, {kept} came back", details
    shape = (*batch.mask.shape, backbone.embed_dim)
    if tuple(plain.tokens.shape) != shape or tuple(found.layers[backbone.n_layers].shape) != shape:
        return "failed", f"hidden states have shape {tuple(plain.tokens.shape)}, not {shape} (B, T, embed_dim)", details
    last = (found.layers[backbone.n_layers] - plain.tokens)[batch.mask].abs().max()
    if float(last) > TOLERANCE * max(1.0, float(plain.tokens[batch.mask].float().square().mean().sqrt())):
        return "failed", f"layer {backbone.n_layers} is not the last hidden state", details
    return "passed", f"embedding output and {backbone.n_layers} layers, the last being the last hidden states", details


def _logits(s: _Subject) -> Outcome:
    """Logits of the pretraining head, where there is one, are finite and (B, T, V)."""
    batch = s.tokenize(s.sequences[1:4]).to(s.model.device)
    with torch.inference_mode(), compute_precision(s.model.device, torch.float32):
        logits = s.model.backbone.logits(batch)
    if logits.shape[:2] != batch.mask.shape or logits.dim() != 3:
        return "failed", f"logits have shape {tuple(logits.shape)}, not (B, T, V)", {}
    if not bool(torch.isfinite(logits[batch.mask]).all()):
        return "failed", "logits hold NaN or infinity", {}
    return (
        "passed",
        f"the pretraining head gives finite logits over {logits.shape[-1]} tokens",
        {"vocabulary": logits.shape[-1]},
    )


def _objective_inputs(s: _Subject) -> Outcome:
    """What objectives give it is read as its own tokens are: uint8 codes and (B, L, 5) rows, blank and summary positions among them."""
    if not s.reads_codes:
        raise UnsupportedError(
            "its tokens are not the codes of bases (A 0, C 1, G 2, T 3, N 4), so objectives that give these cannot train it"
        )
    own = s.tokenize([s.dna(s.pretraining_length, "ACGTN") for _ in range(3)]).to(s.model.device)
    codes = own.inputs.to(torch.uint8)
    forms = {"(B, L) uint8 codes": codes, "(B, L, 5) one-hot rows": one_hot(codes)}
    expected = s.hidden(own)
    for words, inputs in forms.items():
        found = s.hidden(replace(own, inputs=inputs))
        if found.shape != expected.shape:
            return (
                "failed",
                f"{words} give hidden states of shape {tuple(found.shape)}, not {tuple(expected.shape)}",
                {},
            )
        if exceeds(difference(expected.cpu().numpy(), found.cpu().numpy())):
            return "failed", f"{words} give other hidden states than the tokens of the same bases", {}
    soft = one_hot(codes) + 0.2 * torch.randn((*codes.shape, 5), generator=torch.Generator().manual_seed(2)).to(
        codes.device
    )
    blanked = codes.clone()
    blanked[:, ::3] = _BLANK
    for words, inputs in {"blank positions (code 5)": blanked, "(B, L, 5) real-valued rows": soft}.items():
        for n_special in (0, 2):
            if not bool(torch.isfinite(s.hidden(s.appended(own, inputs, n_special))).all()):
                return "failed", f"{words} give NaN or infinity", {}
    return "passed", "uint8 codes and (B, L, 5) rows are read as its own tokens are, blank positions too", {}


def _refusals(s: _Subject) -> Outcome:
    """An empty sequence, and letters that are no DNA, are refused."""
    for bad in ("", "ACGX"):
        try:
            embed(s.model, ["ACGT", bad])
        except DataError:
            continue
        return "failed", f"the sequence {bad!r} was embedded without a word", {}
    return "passed", "an empty sequence and a letter that is no DNA are refused", {}


CHECKS: dict[str, Callable[[_Subject], Outcome]] = {
    "loads": _loads,
    "reload": _reload,
    "deterministic": _deterministic,
    "padding": _padding,
    "batch": _batch,
    "bfloat16": _bfloat16,
    "unknown-bases": _unknown_bases,
    "lower-case": _lower_case,
    "short": _short,
    "maximum": _maximum,
    "spans": _spans,
    "round-trip": _round_trip,
    "refusals": _refusals,
    "strands": _strands,
    "layers": _layers,
    "gradients": _gradients,
    "untouched": _inputs_untouched,
    "objectives": _objective_inputs,
    "logits": _logits,
    "memory": _memory,
}
"""All checks by name, in the order in which they are run and shown."""


def _as_test(name: str) -> Callable[[BackboneConformance], None]:
    def test(self: BackboneConformance) -> None:
        self.conform(name)

    test.__name__ = f"test_{name.replace('-', '_')}"
    test.__doc__ = (CHECKS[name].__doc__ or f"Check {name!r}.").strip()
    return test


for _name in CHECKS:
    setattr(BackboneConformance, f"test_{_name.replace('-', '_')}", _as_test(_name))
