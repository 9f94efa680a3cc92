"""The model that serves, and the one that stands by or watches beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sara_ros.core.swap import ModelIdentity, TrialRules, TrialWindow
from sara_ros.policies.candidate import ServedModel
from sara_ros.policies.companion import Companion
from sara_ros.policies.shadowed import Comparison, ShadowedPolicy
from sara_ros.policies.swappable import SwappablePolicy
from sara_ros.policies.trial import TrialPolicy

MOST_REMEMBERED: Final = 16
"""Models that a row of rollbacks can return to."""


@dataclass(frozen=True, slots=True)
class _Trial:
    """A candidate that acts, and the model before it, which stands by."""

    candidate: Companion
    previous: ServedModel


@dataclass(frozen=True, slots=True)
class _Shadow:
    """A candidate that watches."""

    policy: ShadowedPolicy
    served: ServedModel


class ServingModels:
    """
    Puts models into :attr:`policy` and takes them out again, one step of a change each.

    Not for more than one thread at a time, except for :attr:`policy`.

    :ivar history: models that served before, the latest at the end.
    :ivar window: of the trial under way or just ended.
    """

    def __init__(self, serving: ServedModel) -> None:
        """Serve ``serving``; its spec stays that of :attr:`policy`."""
        self.contract = serving.policy.spec
        self.serving = serving
        self.policy = SwappablePolicy(serving.policy)
        self.history: list[ModelIdentity] = []
        self.window: TrialWindow | None = None
        self._trial: _Trial | None = None
        self._shadow: _Shadow | None = None

    def show(self, served: ServedModel, compared: Callable[[Comparison], None]) -> None:
        """Let a model watch as a shadow."""
        policy = ShadowedPolicy(self.serving.policy, served.policy, compared)
        self._shadow = _Shadow(policy, served)
        self.policy.replace(policy)

    def hide(self) -> ServedModel | None:
        """End the shadow run, and return the shadow; ``None`` without one."""
        shadow, self._shadow = self._shadow, None
        if shadow is None:
            return None
        self.policy.replace(self.serving.policy)
        shadow.policy.close()
        return shadow.served

    def try_out(
        self,
        served: ServedModel,
        companion: Companion,
        rules: TrialRules,
        ended: Callable[[str], None],
    ) -> TrialWindow:
        """
        Let a model serve on trial while the one before it stands by.

        :param companion: runs the model.
        :param ended: see :class:`sara_ros.policies.trial.TrialPolicy`.
        """
        self.window = window = TrialWindow(rules, self.contract.action)
        previous, self.serving = self.serving, served
        self.history = [*self.history, previous.identity][-MOST_REMEMBERED:]
        self._trial = _Trial(companion, previous)
        self.policy.replace(TrialPolicy(companion, previous.policy, window, ended))
        return window

    def conclude(self, *, failed: bool) -> Companion | None:
        """
        End the trial, where one is under way, and return what runs the candidate.

        Whoever has lost is forgotten here: the candidate, or the model before it.
        """
        trial, self._trial = self._trial, None
        if trial is None:
            return None
        if failed:
            self.serving = trial.previous
            self.history.pop()
        self.policy.replace(self.serving.policy)
        return trial.candidate

    @property
    def candidate_is_busy(self) -> bool:
        """Whether the candidate on trial has not returned from an answer."""
        return self._trial is not None and self._trial.candidate.busy

    def return_to(self, served: ServedModel) -> None:
        """Let the latest model of the history serve again."""
        self.history.pop()
        self.serving = served
        self.policy.replace(served.policy)

    def close(self) -> None:
        """End what runs beside the serving model."""
        self.hide()
        if self._trial is not None:
            self._trial.candidate.close()
        self._trial = None
