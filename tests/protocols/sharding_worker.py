"""What each process of the tests of shared encoders runs: ``torchrun sharding_worker.py SCENARIO FOLDER``; the first one writes what it found."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "protocols"), str(TESTS / "baselines")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from test_base_fine_tuning import drawn, table_of  # noqa: E402
from test_fine_tuning import chordmixer, hyena, rows  # noqa: E402
from test_transformers_encoder import SIZES, write_tokenizer  # noqa: E402
from torch import nn  # noqa: E402

from findna_baselines.caduceus import Caduceus  # noqa: E402
from findna_baselines.dnabert2 import DNABERT2  # noqa: E402
from findna_baselines.nucleotide_transformer_v1 import NucleotideTransformerV1  # noqa: E402
from findna_baselines.nucleotide_transformer_v2 import NucleotideTransformerV2  # noqa: E402
from findna_bench.errors import BenchError  # noqa: E402
from findna_bench.models.backbone import Backbone, Encoding, TokenBatch  # noqa: E402
from findna_bench.models.loading import LoadedModel  # noqa: E402
from findna_bench.protocols.fine_tuning import (  # noqa: E402
    FineTuned,
    FineTuneOptions,
    FineTuning,
    LabelledRows,
    fine_tune,
    search,
)
from findna_bench.protocols.fine_tuning_run import FineTuningRun  # noqa: E402
from findna_bench.protocols.sharded_fine_tuning import ShardedFineTuningRun  # noqa: E402
from findna_bench.targets.per_base import PerBase  # noqa: E402
from findna_bench.training.ranks import Ranks, process_group  # noqa: E402
from findna_bench.training.sharding import SharedWeights, own_values  # noqa: E402
from findna_plugins.transformer import Transformer  # noqa: E402

CPU = torch.device("cpu")
QUICK = FineTuning(lr=1e-3, batch_size=7, epochs=2, warmup=0.1)
DATA = LabelledRows(rows(36, 0), rows(13, 1), 2)


def of(backbone: Backbone) -> LoadedModel:
    """A model of another network than its name says."""
    base = hyena()
    card = replace(base.card, max_length=None, pooling="mean")
    return replace(
        base, backbone=backbone.eval(), card=card, n_parameters=sum(p.numel() for p in backbone.parameters())
    )


class Strange(Transformer):
    """A network that is not to be cut where its lists are."""

    def __init__(self, kind: str) -> None:
        super().__init__(width=16, layers=2, heads=2, feedforward=24, positions=100)
        self.kind = kind
        if kind == "tied":
            self.layers[1].fc1.weight = self.layers[0].fc1.weight  # type: ignore[union-attr]
        if kind == "scalar":
            self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, batch: TokenBatch, *, layers: Any = None) -> Encoding:
        found = super().forward(batch, layers=layers)
        if self.kind == "outside":
            found = Encoding(found.tokens + self.layers[0].fc1.bias.sum())  # type: ignore[union-attr]
        if self.kind == "twice":
            found = Encoding(self.layers[0](found.tokens, batch.mask).masked_fill(~batch.mask[..., None], 0.0))
        if self.kind == "scalar":
            found = Encoding(found.tokens * self.scale)
        return found


def encoders(folder: Path) -> Iterator[tuple[str, LoadedModel]]:
    torch.manual_seed(1)
    yield "hyenadna", hyena()
    yield "chordmixer", chordmixer()
    yield "transformer", of(Transformer(width=24, layers=3, heads=2, feedforward=40, positions=100))
    yield "gated", of(Transformer(width=24, layers=3, attention="gau", group=16, query_width=8, positions=100))
    sizes: dict[str, Any] = {"d_model": 24, "n_layers": 3, "n_heads": 3, "d_inner": 32}
    words, files = write_tokenizer(folder), {"tokenizer.json": folder / "tokenizer.json"}
    yield "dnabert2", of(DNABERT2(**sizes, vocab_size=words, dropout=0.0, files=files))
    yield "nucleotide-transformer-v2", of(NucleotideTransformerV2(**sizes, max_positions=66))
    esm = {"model_type": "esm", "vocab_size": 4107, "pad_token_id": 1, "position_embedding_type": "absolute"}
    yield "nucleotide-transformer", of(NucleotideTransformerV1(published=SIZES | esm))
    yield "caduceus", of(Caduceus(d_model=16, n_layers=2, rcps=True, d_state=4))
    yield "tied", of(Strange("tied"))
    yield "twice", of(Strange("twice"))


def differences(
    model: LoadedModel, data: LabelledRows, train: Callable[..., FineTuned], ranks: Ranks, **options: Any
) -> dict[str, float]:
    """Largest differences between two processes that share the encoder and one process: losses as a share, predictions."""
    together = train(model, data, FineTuneOptions(ranks=ranks, shard=True, **options))
    shared = together.predict_scores(data.validation)
    alone = train(model, data, FineTuneOptions(**options))
    one, other = alone.validation["path"], together.validation["path"]
    assert [entry["step"] for entry in one] == [entry["step"] for entry in other]
    for name in ("steps", "chosen_step", "skipped_steps", "trained_parameters"):
        assert alone.settings[name] == together.settings[name], name
    loss = max(abs(a[name] / b[name] - 1) for a, b in zip(one, other, strict=True) for name in ("loss", "train_loss"))
    scores = float(np.abs(shared - alone.predict_scores(data.validation)).max())
    return {"loss": loss, "scores": scores, "steps": len(one)}


def norms(kind: type[FineTuningRun], options: FineTuneOptions) -> list[float]:
    """Of the gradients of each step, as clipping has them: AdamW itself would not notice gradients of another scale."""
    seen = []

    class Recorded(kind):  # type: ignore[misc, valid-type]
        def clip_gradients(self, limit: float) -> torch.Tensor:
            seen.append(float(norm := super().clip_gradients(limit)))
            return norm

    Recorded(hyena(), DATA, replace(QUICK, max_steps=4), 0, options).train()
    return seen


def scenario_encoders(ranks: Ranks, folder: Path) -> dict[str, Any]:
    def train(model: LoadedModel, data: LabelledRows, options: FineTuneOptions) -> FineTuned:
        return fine_tune(model, data, QUICK, 0, options)

    return {name: differences(model, DATA, train, ranks) for name, model in encoders(folder)}


def scenario_settings(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """Everything that a preset or an option changes about how a step is computed."""

    def with_preset(**changes: Any) -> Callable[..., FineTuned]:
        return lambda model, data, options: fine_tune(model, data, replace(QUICK, **changes), 0, options)

    def searching(model: LoadedModel, data: LabelledRows, options: FineTuneOptions) -> FineTuned:
        presets = [replace(QUICK, lr=rate) for rate in (1e-4, 1e-3)]
        return search(model, data, presets, 0, options, trial_steps=3)

    model = hyena()
    found: dict[str, Any] = {}
    found["clip"] = differences(model, DATA, with_preset(clip=0.05), ranks)
    found["no clip"] = differences(model, DATA, with_preset(clip=None), ranks)
    found["frozen layers"] = differences(model, DATA, with_preset(freeze_layers=1), ranks)
    found["frozen encoder"] = differences(model, DATA, with_preset(freeze_layers=-1), ranks)
    found["adapters"] = differences(model, DATA, with_preset(lora_rank=4, lora_dropout=0.0), ranks)
    found["checkpointing"] = differences(model, DATA, with_preset(gradient_checkpointing=True), ranks)
    found["rates"] = differences(model, DATA, with_preset(head_lr=1e-2, decay_biases=True), ranks)
    early = with_preset(epochs=8, patience=1)
    found["early stopping"] = differences(model, DATA, early, ranks)
    found["last weights"] = differences(model, DATA, with_preset(), ranks, selection="last")
    found["both strands"] = differences(model, DATA, with_preset(), ranks, strand="rc-logit-mean")
    found["windows"] = differences(model, DATA, with_preset(max_length=20), ranks, window="window")
    found["rows one by one"] = differences(model, DATA, with_preset(), ranks, batch_size=1)
    found["one row in a step"] = differences(model, DATA, with_preset(batch_size=1, max_steps=9), ranks)
    found["search"] = differences(model, DATA, searching, ranks)
    bases = LabelledRows(table_of(drawn(20)), table_of(drawn(9, seed=1), 40), 2, None, PerBase())
    for head in ("linear", "conv"):
        found[f"bases, {head}"] = differences(chordmixer(), bases, with_preset(head=head), ranks)
    shared_norms = norms(ShardedFineTuningRun, FineTuneOptions(ranks=ranks, shard=True))
    found["norms"] = {"shared": shared_norms, "alone": norms(FineTuningRun, FineTuneOptions())}
    parts = SharedWeights(model.backbone, ranks)
    in_parts = replace(model, backbone=parts.outline, whole=parts.whole)
    shared = fine_tune(in_parts, DATA, QUICK, 0, FineTuneOptions(ranks=ranks, shard=True))
    direct = fine_tune(model, DATA, QUICK, 0, FineTuneOptions(ranks=ranks, shard=True))
    found["weights in parts"] = {"equal": shared.validation == direct.validation}
    return found


def scenario_memory(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """Bytes that a process holds of an encoder while it is trained, after each step."""
    wide = Transformer(width=128, layers=6, heads=4, feedforward=512, positions=100)
    model, data = of(wide), DATA
    whole = sum(p.nbytes for p in wide.parameters())
    parts = SharedWeights(wide, ranks)
    model = replace(model, backbone=parts.outline, whole=parts.whole)
    del wide
    gc.collect()
    before, seen = _live_bytes(), []

    class Measured(ShardedFineTuningRun):
        def stepped(self, outcomes: Any) -> None:
            super().stepped(outcomes)
            state = self.optimiser.state.values()
            moments = [own_values(value) for values in state for value in values.values() if value.dim()]
            self.optimiser.zero_grad(set_to_none=True)
            seen.append(
                {
                    "parameters": sum(own_values(p).nbytes for p in self.net.backbone.parameters()),
                    "moments": sum(value.nbytes for value in moments),
                    "live": _live_bytes() - before,
                }
            )

        def kept(self) -> Any:
            return {}  # what is chosen is no matter here

    run = Measured(
        model, data, replace(QUICK, max_steps=3), 0, FineTuneOptions(ranks=ranks, shard=True, selection="last")
    )
    run.train()
    return {"whole": whole, "of each": ranks.gather({"in parts": parts.nbytes, "steps": seen})}


def _live_bytes() -> int:
    """Of all tensors of this process, memory that several of them use counted once."""
    gc.collect()
    tensors = [one for one in gc.get_objects() if isinstance(one, torch.Tensor) and one.device == CPU]
    kept = {}
    for tensor in map(own_values, tensors):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
    return sum(kept.values())


def scenario_refused(ranks: Ranks, folder: Path) -> dict[str, str]:
    """What cannot be shared says so, in all processes."""
    found = {}
    for kind in ("outside", "scalar"):
        try:
            fine_tune(of(Strange(kind)), DATA, QUICK, 0, FineTuneOptions(ranks=ranks, shard=True))
        except BenchError as error:
            found[kind] = f"{type(error).__name__}: {error}"
    return found


def scenario_checkpoints(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """A training that is cut off goes on, in the way that it began or in the other one."""
    from findna_bench.protocols import fine_tuning_run

    fine_tuning_run._CHECKPOINT_SECONDS, fine_tuning_run._CHECKPOINT_SHARE = 0.0, 1e9  # after every step
    model, preset = hyena(), replace(QUICK, epochs=3)
    steps: list[int] = []

    def run(path: Path | None, *, shard: bool, stop: int | None = None) -> FineTuned | None:
        steps.clear()

        def progress(done: int, total: int) -> None:
            steps.append(done)
            if done == stop:
                raise InterruptedError

        options = FineTuneOptions(ranks=ranks, shard=shard, checkpoint=path, progress=progress)
        try:
            return fine_tune(model, DATA, preset, 0, options)
        except InterruptedError:
            return None

    def numbers(tuned: FineTuned | None) -> tuple[Any, np.ndarray]:
        assert tuned is not None
        return tuned.validation, tuned.predict_scores(DATA.validation)

    whole, found = numbers(run(None, shard=True)), {}
    for name, first, second in (("same", True, True), ("to copies", True, False), ("from copies", False, True)):
        path = folder.parent / f"{name}.pt"
        assert run(path, shard=first, stop=11) is None
        ranks.wait()
        assert path.exists()
        validation, scores = numbers(run(path, shard=second))
        losses = [[e["loss"] for e in one["path"]] for one in (validation, whole[0])]
        found[name] = {
            "first step": steps[0],
            "equal": validation == whole[0] and bool(np.array_equal(scores, whole[1])),
            "loss": float(np.abs(np.array(losses[0]) / losses[1] - 1).max()),
            "scores": float(np.abs(scores - whole[1]).max()),
        }
        ranks.wait()
    return found


def main() -> None:
    torch.set_num_threads(1)
    scenario, folder = sys.argv[1], Path(sys.argv[2])
    with process_group(CPU) as ranks:
        own = folder / f"process {ranks.rank}"
        own.mkdir()
        found = globals()[f"scenario_{scenario}"](ranks, own)
        if ranks.first:
            (folder / f"{scenario}.json").write_text(json.dumps(found))
        ranks.wait()


if __name__ == "__main__":
    main()
