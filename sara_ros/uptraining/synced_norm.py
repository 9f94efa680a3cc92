"""Batch normalisation over the batches of all processes, on CPUs as well."""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_reduce


class SyncedNorm(nn.BatchNorm1d):
    """
    ``BatchNorm1d`` whose mean and variance are those of the whole batch.

    The same parameters and buffers by the same names. torch's own ``SyncBatchNorm`` needs GPUs.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(N, C)``, or ``(N, C, L)`` over ``N`` and ``L``."""
        if not (self.training and distributed.is_initialized()):
            return super().forward(x)
        rows = x if x.ndim == 2 else x.transpose(1, 2).flatten(0, 1)
        count = _total(rows.new_tensor(float(len(rows))))
        mean = _total(rows.sum(dim=0)) / count
        variance = _total((rows - mean).square().sum(dim=0)) / count
        self._follow(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * (variance + self.eps).rsqrt()
        shape = (1, -1) if x.ndim == 2 else (1, -1, 1)
        shifted: Tensor = (x - mean.view(shape)) * scale.view(shape) + self.bias.view(shape)
        return shifted

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.momentum is None:
            return
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)


def _total(value: Tensor) -> Tensor:
    """Return the sum over processes, through which gradients flow."""
    total: Tensor = all_reduce(value)  # type: ignore[no-untyped-call]
    return total


def synchronise_norms(module: nn.Module) -> None:
    """Let each ``BatchNorm1d`` below ``module`` count the batches of all processes, in place."""
    for name, part in list(module.named_modules()):
        if type(part) is nn.BatchNorm1d and part.affine:
            synced = SyncedNorm(part.num_features, part.eps, part.momentum)
            synced.weight, synced.bias = part.weight, part.bias
            synced.running_mean, synced.running_var = part.running_mean, part.running_var
            synced.num_batches_tracked = part.num_batches_tracked
            synced.train(part.training)
            module.set_submodule(name, synced)
