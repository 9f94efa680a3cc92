"""One process of a data-parallel run; started by torchrun, or alone."""

from __future__ import annotations

from pathlib import Path
import sys

import numpy as np
from rich.progress import Progress
import torch
from torch import Tensor, nn

from sara_ros.training.loop import Losses, run_loop
from sara_ros.training.optimiser import Recipe
from sara_ros.uptraining.distributed import Processes, launched

ROWS = torch.randn(64, 6, 5, generator=torch.Generator().manual_seed(3))


class Net(nn.Module):
    """Batch normalisation, a layer that only some rows use, and one that nothing uses."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Linear(5, 16, bias=False)  # the norm would undo one
        self.norm = nn.BatchNorm1d(16)
        self.last = nn.Linear(16, 1)
        self.rare = nn.Linear(16, 1)
        self.unused = nn.Linear(3, 3)
        self.frozen = nn.Linear(16, 16).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.norm(self.first(x).flatten(0, 1)).reshape(*x.shape[:2], -1)
        return self.frozen(hidden.relu())


def losses_of(net: Net, here: Processes):
    """Return losses with a mean over rows and a mean over those rows that count."""

    def losses(rng: np.random.Generator, batch: int) -> Losses:
        x = ROWS[rng.integers(0, len(ROWS), batch)][here.part(batch)]
        hidden = net(x)
        plain = (net.last(hidden)[..., 0] - x.sum(dim=-1)).square().mean()
        some = x[..., 0] > 1.2
        counted = here.mean(some.sum()).clamp_min(1)
        part = plain * 0
        if bool(some.any()):
            part = (net.rare(hidden[some])[..., 0] - 1).square().sum() / counted
        return {'loss': plain + part, 'plain': plain, 'some': part}

    return losses


def train(folder: Path, until: int) -> None:
    """Train for some steps; process 1 begins with other weights."""
    torch.set_num_threads(1)
    with launched() as here, here.folder(folder) as work:
        net = Net(seed=here.rank)
        losses = here.spread(losses_of(net, here), net)
        run_loop(
            net, losses, Recipe(steps=12, batch=8, warm_up_steps=2), work, settings={},
            until=until, save_every=4, progress=Progress() if here.is_main else None,
        )  # fmt: skip
        print(f'process {here.rank} of {here.count} wrote {work == folder}', flush=True)


if __name__ == '__main__':
    train(Path(sys.argv[1]), int(sys.argv[2]))
