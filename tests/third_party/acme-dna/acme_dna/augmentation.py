"""An augmentation written against the public API only."""

from dataclasses import dataclass

import torch

from findna_bench.api import one_hot


@dataclass(frozen=True)
class SNP:
    """Replace each position by a random base with probability ``p``."""

    p: float = 0.01

    def __call__(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        chosen = torch.rand(x.shape[:2], generator=generator, device=x.device) < self.p
        bases = torch.randint(0, 4, x.shape[:2], dtype=torch.uint8, generator=generator, device=x.device)
        if x.dtype == torch.uint8:
            return torch.where(chosen, bases, x)
        return torch.where(chosen[..., None], one_hot(bases, dtype=x.dtype), x)
