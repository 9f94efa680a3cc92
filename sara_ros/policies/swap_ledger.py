"""Where the newest change of model stands, and how many there were."""

from __future__ import annotations

from collections.abc import Callable

from sara_ros.core.swap import ModelIdentity, SwapState
from sara_ros.core.swap_report import SwapCounts, SwapReport
from sara_ros.policies.serving_models import ServingModels
from sara_ros.policies.swap_change import Change


class SwapLedger:
    """
    The state of a change, for whoever asks and for whoever listens.

    :ivar change: the change under way or just ended.
    :param changed: receives every change of state.
    """

    def __init__(self, models: ServingModels, changed: Callable[[SwapReport], None]) -> None:
        """Begin without a change."""
        self._models = models
        self._changed = changed
        self._counts = SwapCounts()
        self._message = ''
        self.state = SwapState.IDLE
        self.change: Change | None = None

    @property
    def report(self) -> SwapReport:
        """Where the newest change stands."""
        models, window = self._models, self._models.window
        return SwapReport(
            state=self.state,
            message=self._message,
            active=models.serving.identity,
            candidate=self.change.identity if self.change else ModelIdentity(),
            previous=models.history[-1] if models.history else ModelIdentity(),
            trial_chunks=window.chunks if window else 0,
            window_chunks=window.window_chunks if window else 0,
            budget_sec=window.budget_sec if window else 0.0,
            counts=self._counts,
        )

    def enter(self, state: SwapState, message: str) -> None:
        """Enter a state, and tell."""
        self.state, self._message = state, message
        self._changed(self.report)

    def count(self, *, swaps: int = 0, rollbacks: int = 0, refusals: int = 0) -> None:
        """Add to the counts."""
        self._counts = SwapCounts(
            self._counts.swaps + swaps,
            self._counts.rollbacks + rollbacks,
            self._counts.refusals + refusals,
        )
