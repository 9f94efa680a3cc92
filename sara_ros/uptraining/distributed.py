"""
Data-parallel up-training: processes that share each batch compute what one would.

``torchrun`` starts them with the arguments that one process takes::

    torchrun --standalone --nproc-per-node=2 -m sara_ros.cli.main uptrain MODEL --backend sara
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
import os
from pathlib import Path
import tempfile
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, distributed, nn

from sara_ros.core import ParameterError
from sara_ros.training.loop import CURVE_FILE, STATE_FILE, Losses, LossFunction
from sara_ros.uptraining.synced_norm import synchronise_norms

# Process 0 may measure, or wait for the control of another run, while the others are waiting.
_PATIENCE: Final = timedelta(days=1)
_VARIABLES: Final = ('RANK', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT')


@dataclass(frozen=True, slots=True)
class Processes:
    """
    The processes of a run, seen from one of them.

    :param rank: number of this process, from 0.
    :param count: how many there are, on all machines.
    :param device: where this process computes.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files and shows the progress."""
        return self.rank == 0

    def part(self, batch: int) -> slice:
        """
        Return which rows of a batch are this process's.

        Every process draws the whole batch from the same seed and keeps these rows of it, so
        that the parts are disjoint and together the batch of a single process.

        :raises ParameterError: when the batch cannot be shared out evenly.
        """
        if batch % self.count:
            raise ParameterError(
                f'batch is {batch}; it must be a multiple of the {self.count} processes'
            )
        return slice(self.rank, batch, self.count)

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Let process 0 leave the block before the others enter it."""
        if self.count > 1 and not self.is_main:
            distributed.barrier()
        yield
        if self.count > 1 and self.is_main:
            distributed.barrier()

    def mean(self, value: Tensor) -> Tensor:
        """
        Return the mean of ``value`` over the processes, without a gradient.

        A loss that divides by a number that depends on the batch divides by the mean of that
        number instead: then the mean over processes is the loss of the whole batch. Every
        process must get here equally often.
        """
        shared = value.detach().to(self.device, torch.float32, copy=True)
        if self.count > 1:
            distributed.all_reduce(shared)
        return shared / self.count

    def spread(self, losses: LossFunction, module: nn.Module) -> LossFunction:
        """
        Let ``losses``, which takes :meth:`part` of each batch, serve all processes.

        Values and gradients of the returned losses are means over the processes; only the first
        has a gradient. Weights of ``module`` become those of process 0, and its batch
        normalisation counts the whole batch. On a GPU the losses compute in bf16 where autocast
        allows.

        :param module: what is trained; the same in each process.
        """
        if self.count > 1:
            synchronise_norms(module)
            for tensor in module.state_dict().values():
                distributed.broadcast(tensor, 0)

        def spread(rng: np.random.Generator, batch: int) -> Losses:
            on_gpu = self.device.type == 'cuda'
            with torch.autocast(self.device.type, torch.bfloat16, enabled=on_gpu):
                parts = losses(rng, batch)
            return self._averaged(parts, module) if self.count > 1 else parts

        return spread

    def _averaged(self, parts: Losses, module: nn.Module) -> Losses:
        weights = [weight for weight in module.parameters() if weight.requires_grad]
        total = next(iter(parts.values()))
        local = torch.autograd.grad(total, weights, allow_unused=True)
        pieces = [torch.stack([part.detach().float() for part in parts.values()])]
        for weight, gradient in zip(weights, local, strict=True):
            pieces.append(torch.tensor([float(gradient is not None)], device=self.device))
            known = torch.zeros_like(weight) if gradient is None else gradient
            pieces.append(known.float().flatten())
        sizes = [len(piece) for piece in pieces]
        values, *rest = torch.split(self.mean(torch.cat(pieces)), sizes)
        used = {
            weight: gradient.reshape(weight.shape).to(weight.dtype)
            for weight, count, gradient in zip(weights, rest[::2], rest[1::2], strict=True)
            if bool(count > 0)
        }
        first: Tensor = _Known.apply(values[0], list(used.values()), *used)  # type: ignore[no-untyped-call]
        return dict(zip(parts, (first, *values[1:]), strict=True))

    @contextmanager
    def folder(self, path: Path) -> Iterator[Path]:
        """
        Yield the work folder of a training loop: ``path`` in process 0, scratch in the others.

        What a stopped run left in ``path`` is sent to the others, which need not see that disk.
        """
        if self.count == 1:
            yield path
            return
        with tempfile.TemporaryDirectory() as scratch:
            own = path if self.is_main else Path(scratch)
            for name in (STATE_FILE, CURVE_FILE):
                self._send(own / name)
            yield own
            distributed.barrier()

    def _send(self, path: Path) -> None:
        content = path.read_bytes() if self.is_main and path.exists() else b''
        size = torch.tensor([len(content)], device=self.device)
        distributed.broadcast(size, 0)
        if not int(size):
            return
        data = torch.zeros(int(size), dtype=torch.uint8, device=self.device)
        if self.is_main:
            data.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        distributed.broadcast(data, 0)
        if not self.is_main:
            path.write_bytes(data.cpu().numpy().tobytes())


class _Known(torch.autograd.Function):
    """A value whose gradients are known."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: list[Tensor], *weights: Tensor) -> Tensor:
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        return None, None, *(gradient * upstream for gradient in ctx.gradients)


ALONE: Final = Processes(0, 1, torch.device('cpu'))
"""One process on the CPU."""


@contextmanager
def launched(device: str = 'cpu') -> Iterator[Processes]:
    """
    Yield the processes that ``torchrun`` or ``accelerate launch`` started; else this one alone.

    They talk over NCCL when each has a GPU, else over gloo. On CPUs use ``torchrun``:
    ``accelerate launch`` starts one process there.

    :param device: ``cpu``, or ``cuda`` for one GPU each.
    :raises ParameterError: for another device or an absent one, when the launcher's variables are
        incomplete, or when it started more processes on this machine than there are GPUs.
    """
    count = int(os.environ.get('WORLD_SIZE', '1'))
    if count == 1:
        yield Processes(0, 1, _device(device, 0))
        return
    missing = [name for name in _VARIABLES if name not in os.environ]
    if missing:
        raise ParameterError(
            f'WORLD_SIZE is {count}, but {missing[0]} is not set; start with torchrun or '
            'accelerate launch'
        )
    own = _device(device, int(os.environ['LOCAL_RANK']))
    distributed.init_process_group('nccl' if own.type == 'cuda' else 'gloo', timeout=_PATIENCE)
    try:
        yield Processes(int(os.environ['RANK']), count, own)
    finally:
        distributed.destroy_process_group()


def _device(kind: str, local_rank: int) -> torch.device:
    if kind not in ('cpu', 'cuda'):
        raise ParameterError(f"device is '{kind}'; known: cpu, cuda")
    if kind == 'cpu':
        return torch.device('cpu')
    if not torch.cuda.is_available():
        raise ParameterError("device is 'cuda', but torch finds no GPU; use cpu")
    if local_rank >= torch.cuda.device_count():
        raise ParameterError(
            f'process {local_rank} of this machine has no GPU; start at most '
            f'{torch.cuda.device_count()} processes on it, or use the device cpu'
        )
    torch.cuda.set_device(local_rank)
    return torch.device('cuda', local_rank)
