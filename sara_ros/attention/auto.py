"""Softmax or linear attention, whichever is faster where it is served."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
import logging
from typing import Any, ClassVar, Final

import torch
from torch import Tensor, nn

from sara_ros.attention.backend import AttentionBackend
from sara_ros.attention.factory import build, find, table
from sara_ros.attention.folding import worth_folding
from sara_ros.attention.hedgehog import Hedgehog
from sara_ros.attention.interleaved import median_seconds
from sara_ros.attention.options import check_choice
from sara_ros.attention.performer import Performer
from sara_ros.attention.sara import FoldedSara, Sara
from sara_ros.attention.softmax import Softmax
from sara_ros.attention.state import State
from sara_ros.attention.taylor import Taylor
from sara_ros.attention.uniform import Uniform
from sara_ros.attention.window_linear import WindowLinear

_LINEAR: Final[dict[str, type[AttentionBackend]]] = table(
    Sara, Taylor, Performer, Hedgehog, WindowLinear, Uniform
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AutoOptions:
    """
    Options of :class:`Auto`.

    :param linear: backend that softmax is compared with.
    :param linear_options: options of that backend.
    """

    linear: str = 'sara'
    linear_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the values."""
        check_choice('auto', 'linear', self.linear, _LINEAR)


@dataclass(frozen=True, slots=True)
class Call:
    """
    What a layer is asked to compute.

    :param tokens: number of keys; ``queries`` is that of queries, 0 for as many.
    :param form: ``forward``, ``offset`` or ``causal``.
    :param value_dim: size of a value, 0 for the head size.
    """

    tokens: int
    dtype: torch.dtype = torch.float32
    device: torch.device = torch.device('cpu')  # noqa: RUF009
    form: str = 'forward'
    queries: int = 0
    value_dim: int = 0


class Auto(AttentionBackend):
    """
    Holds softmax and a linear backend, and keeps one of them when it is settled.

    In training mode each call takes one of the two at random, so that either serves afterwards
    (with distributed training, let unused parameters be found). Until it is settled, inference
    and the recurrent form are softmax.
    """

    name: ClassVar[str] = 'auto'
    serves_any_checkpoint: ClassVar[bool] = True
    supports_key_mask: ClassVar[bool] = True
    Options = AutoOptions

    def __init__(self, *, head_dim: int, heads: int, options: AutoOptions) -> None:
        """Build both; see :class:`AutoOptions`."""
        super().__init__()
        self.head_dim, self.heads = head_dim, heads
        self.softmax: AttentionBackend = Softmax()
        linear = find(_LINEAR, options.linear)
        self.linear = build(linear, head_dim, heads, options.linear_options)
        self.last_call: Call | None = None
        self._keeps_linear = False

    def forward(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """See :meth:`AttentionBackend.forward`."""
        mixed: Tensor = self._drawn('forward', q, v)(q, k, v, key_mask)
        return mixed

    def offset(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """See :meth:`AttentionBackend.offset`."""
        return self._drawn('offset', q, v).offset(q, k, v, key_mask)

    def causal(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See :meth:`AttentionBackend.causal`."""
        return self._drawn('causal', q, v).causal(q, k, v)

    def absorb(self, state: State | None, k: Tensor, v: Tensor) -> State:
        """See :meth:`AttentionBackend.absorb`."""
        return self.kept.absorb(state, k, v)

    def release(self, state: State, k: Tensor, v: Tensor) -> State:
        """See :meth:`AttentionBackend.release`."""
        return self.kept.release(state, k, v)

    def read(self, state: State, q: Tensor) -> Tensor:
        """See :meth:`AttentionBackend.read`."""
        return self.kept.read(state, q)

    def require(self, form: str) -> None:
        """See :meth:`AttentionBackend.require`; both backends must have the form."""
        self.linear.require(form)

    @property
    def kept(self) -> AttentionBackend:
        """The backend that inference uses."""
        return self.linear if self._keeps_linear else self.softmax

    def settle(self, call: Call, where: str = 'a layer') -> AttentionBackend:
        """
        Measure both backends on ``call``, keep the faster one, log why, and return it.

        SARA is measured as :func:`sara_ros.attention.fold` leaves it.

        :param where: what to call this layer in the log.
        """
        softmax, linear = median_seconds(
            self._trial(self.softmax, call), self._trial(self.linear, call), call.device
        )
        self._keeps_linear = linear < softmax
        _log.info(
            "attention 'auto' in %s keeps '%s': softmax takes %.3f ms, %s %.3f ms (%s form, N=%d, "
            'D=%d, H=%d, %s, %s)',
            where, self.kept.name, softmax * 1e3, self.linear.name, linear * 1e3, call.form,
            call.tokens, self.head_dim, self.heads, call.dtype, call.device,
        )  # fmt: skip
        return self.kept

    def _drawn(self, form: str, q: Tensor, v: Tensor) -> AttentionBackend:
        if self.training:
            return self.linear if float(torch.rand(())) < 0.5 else self.softmax
        self.last_call = Call(v.shape[-2], q.dtype, q.device, form, q.shape[-2], v.shape[-1])
        return self.kept

    def _trial(self, backend: AttentionBackend, call: Call) -> Callable[[], Tensor]:
        dim = self.head_dim
        if isinstance(backend, Sara) and worth_folding(backend):
            dim, backend = backend.q_map.shape[-2], FoldedSara(backend.function)
        generator = torch.Generator('cpu').manual_seed(0)
        tokens = (call.queries or call.tokens, call.tokens, call.tokens)
        sizes = zip(tokens, (dim, dim, call.value_dim or self.head_dim), strict=True)
        q, k, v = (
            torch.randn(1, self.heads, *size, generator=generator).to(call.device, call.dtype)
            for size in sizes
        )
        form: Callable[..., Tensor] = getattr(backend, call.form)
        return lambda: form(q, k, v)


def settle_network(network: nn.Module, warm_up: Callable[[], object]) -> None:
    """
    Put in the place of each :class:`Auto` layer the backend that is faster for what it sees.

    :param warm_up: runs the network once in evaluation mode on what it will be served, through
        which each layer learns its number of tokens; not called where there is nothing to settle.
    """
    layers = [
        (parent, f'{path}.{name}'.lstrip('.'), name, child)
        for path, parent in network.named_modules()
        for name, child in parent.named_children()
        if isinstance(child, Auto)
    ]
    if layers:
        warm_up()
    for parent, path, name, layer in layers:
        if layer.last_call is None:
            _log.info("attention 'auto' in %s keeps 'softmax': the warm-up did not use it", path)
            setattr(parent, name, layer.softmax)
        else:
            setattr(parent, name, layer.settle(layer.last_call, path))
