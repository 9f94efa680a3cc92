"""What a change of the serving model tells the outside, and what it needs from there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from sara_ros.core.swap import ModelIdentity, SwapState


@dataclass(frozen=True, slots=True)
class SwapCounts:
    """Changes since the first model: ``rollbacks`` is a part of ``swaps``."""

    swaps: int = 0
    rollbacks: int = 0
    refusals: int = 0


@dataclass(frozen=True, slots=True)
class SwapReport:
    """Where the newest change of model stands; see the SwapStatus message."""

    state: SwapState
    message: str
    active: ModelIdentity
    candidate: ModelIdentity
    previous: ModelIdentity
    trial_chunks: int = 0
    window_chunks: int = 0
    budget_sec: float = 0.0
    counts: SwapCounts = field(default_factory=SwapCounts)


Answered: TypeAlias = Callable[[SwapReport], None]


class Boundary(Protocol):
    """What a change of model must know of the serving loop, and ask of it."""

    def running(self) -> bool:
        """Tell whether a run is in progress."""
        ...

    def reserve(self, duration_ns: int) -> None:
        """Have commands leave so much later that a late answer still becomes one; 0 ends it."""
        ...

    def reserved(self) -> bool:
        """Tell whether they do by now."""
        ...
