"""A change of the serving model: its states, which model is meant, and what a trial demands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

import numpy as np

from sara_ros.core.action import ActionChunk
from sara_ros.core.errors import ParameterError
from sara_ros.core.spec import ActionSpec

RUNTIMES: Final = ('torch',)
SLOW_SHARE: Final = 0.05
"""Share of the answers of a window that may be over the budget while its p95 is not."""
BUDGET_SHARE: Final = 0.6
"""The budget, where none is stated: this share of the time that a chunk lasts."""
SLACK: Final = 1.25
"""A candidate may take so much longer than the model it replaces does under the same load."""
RESERVE_SHARE: Final = 0.8
"""Share of a command period by which commands wait for a fallback during a change."""
LARGEST_SHARE: Final = 0.95
"""Largest budget that follows from the serving model, as a share of the time a chunk lasts."""
RANGE_TOLERANCE: Final = 1e-4
"""Share of a dimension's range by which rounding may leave it."""


class SwapState(str, Enum):
    """Where a change of model stands; the values are those of the SwapStatus message."""

    IDLE = 'idle'
    LOADING = 'loading'
    WARMING = 'warming'
    READY = 'ready'
    SHADOW = 'shadow'
    TRIAL = 'trial'
    ACTIVE = 'active'
    SKIPPED = 'skipped'
    REFUSED = 'refused'
    DISCARDED = 'discarded'
    ROLLED_BACK = 'rolled_back'

    @property
    def preparing(self) -> bool:
        """Whether a candidate is on its way that no observation of a run has reached yet."""
        return self in (SwapState.LOADING, SwapState.WARMING, SwapState.READY)

    @property
    def settled(self) -> bool:
        """Whether the change is over, so that another one may begin."""
        return not self.preparing and self not in (SwapState.SHADOW, SwapState.TRIAL)


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which weights run how; two models of equal identity act alike."""

    model_id: str = ''
    attention_backend: str = ''
    device: str = ''
    runtime: str = RUNTIMES[0]
    weights_sha256: str = ''

    def __str__(self) -> str:
        """Return the identity for people."""
        how = ', '.join(part for part in (self.attention_backend, self.device) if part)
        return f"'{self.model_id}' ({how})" if how else f"'{self.model_id}'"


@dataclass(frozen=True, slots=True)
class WantedModel:
    """
    A request for another model; what is empty is kept, as :meth:`after` says.

    :param shadow: let it run beside the serving model instead of in its place.
    :param weights_sha256: refuse other weights than these; empty accepts any.
    """

    model_id: str = ''
    attention_backend: str = ''
    device: str = ''
    runtime: str = ''
    shadow: bool = False
    weights_sha256: str = ''

    def after(self, serving: ModelIdentity) -> ModelIdentity:
        """
        Return what is meant while ``serving`` serves.

        An empty backend is the one in policy.json, and is still empty in the result; without a
        model id, where the same model is meant, it is the serving one.

        :raises ParameterError: for a runtime that is not known.
        """
        if self.runtime not in ('', *RUNTIMES):
            raise ParameterError(
                f"runtime is '{self.runtime}'; known: {', '.join(RUNTIMES)}, or empty to keep it"
            )
        backend = self.attention_backend
        return ModelIdentity(
            model_id=self.model_id or serving.model_id,
            attention_backend=backend if self.model_id else backend or serving.attention_backend,
            device=self.device or serving.device,
            runtime=self.runtime or serving.runtime,
            weights_sha256=self.weights_sha256,
        )

    @classmethod
    def again(cls, identity: ModelIdentity) -> WantedModel:
        """Return the request for a model that served before."""
        return cls(
            model_id=identity.model_id,
            attention_backend=identity.attention_backend,
            device=identity.device,
            runtime=identity.runtime,
            weights_sha256=identity.weights_sha256,
        )


@dataclass(frozen=True, slots=True)
class TrialRules:
    """
    What a candidate must keep to.

    :param window_chunks: chunks a trial lasts; 0 for no trial.
    :param budget_sec: largest p95 of its time to answer; 0 leaves it to :meth:`beside`.
    :param answer_timeout_sec: longest wait for one answer before it ever acts.
    """

    window_chunks: int = 40
    budget_sec: float = 0.0
    answer_timeout_sec: float = 10.0

    def beside(self, spec: ActionSpec, serving_sec: float = 0.0) -> TrialRules:
        """
        Return the rules with a budget; one that is stated is kept.

        It is ``BUDGET_SHARE`` of the time that a chunk lasts. On a machine where the serving
        model takes longer it grows to ``SLACK`` times that, as far as commands can wait for a
        fallback, and is never below what the serving model takes within a chunk's time.

        :param spec: of the actions.
        :param serving_sec: p95 of the serving model's answers of late; 0 if it is not known.
        """
        if self.budget_sec:
            return self
        chunk_sec = spec.horizon / spec.rate_hz
        usual_sec = BUDGET_SHARE * chunk_sec
        slack_sec = min(SLACK * serving_sec, RESERVE_SHARE * chunk_sec)
        same_sec = min(serving_sec, LARGEST_SHARE * chunk_sec)
        return replace(self, budget_sec=max(usual_sec, slack_sec, same_sec))


class TrialWindow:
    """Judges the answers of a candidate until its window has passed."""

    def __init__(self, rules: TrialRules, spec: ActionSpec) -> None:
        """Judge a candidate of ``spec`` by rules with a budget."""
        self._spec = spec
        self._allowed_slow = int(SLOW_SHARE * rules.window_chunks)
        self._slow = 0
        self.window_chunks = rules.window_chunks
        self.budget_sec = rules.beside(spec).budget_sec
        self.chunks = 0

    @property
    def passed(self) -> bool:
        """Whether enough answers were good."""
        return self.chunks >= self.window_chunks

    def judge(self, chunk: ActionChunk, elapsed_sec: float) -> str:
        """Count an answer and return why the trial has failed, empty while it has not."""
        self.chunks += 1
        return fault_of(chunk, self._spec) or self._judge_time(elapsed_sec)

    def missed(self) -> str:
        """Count an observation without an answer within the budget, as :meth:`judge` does."""
        self.chunks += 1
        return self._judge_time(float('inf'))

    def _judge_time(self, elapsed_sec: float) -> str:
        self._slow += elapsed_sec > self.budget_sec
        if self._slow <= self._allowed_slow:
            return ''
        return (
            f'p95 of the inference is over the budget of {self.budget_sec * 1e3:.0f} ms: '
            f'{self._slow} of {self.chunks} chunks took longer, a window of '
            f'{self.window_chunks} allows {self._allowed_slow}'
        )


def fault_of(chunk: ActionChunk, spec: ActionSpec) -> str:
    """Return why a chunk of a candidate must not be sent, empty when it may."""
    if chunk.values.shape[1] != len(spec.names):
        return f'its chunk has {chunk.values.shape[1]} dimensions, the action {len(spec.names)}'
    bad = ~np.isfinite(chunk.values)
    if bad.any():
        step, index = np.argwhere(bad)[0]
        return f"action dimension '{spec.names[index]}' is {chunk.values[step, index]}"
    slack = RANGE_TOLERANCE * (spec.high - spec.low)
    outside = (chunk.values < spec.low - slack) | (chunk.values > spec.high + slack)
    if outside.any():
        step, index = np.argwhere(outside)[0]
        return (
            f"action dimension '{spec.names[index]}' is {chunk.values[step, index]:.4g}, outside "
            f'its range [{spec.low[index]:.4g}, {spec.high[index]:.4g}]'
        )
    return ''
