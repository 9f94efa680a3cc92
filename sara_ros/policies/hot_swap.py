"""Changes the serving model: loads a candidate, tries it, and keeps the way back open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import RLock, Thread
import time
from typing import Final

from sara_ros.core import ParameterError
from sara_ros.core.courtesy import step_back
from sara_ros.core.errors import describe
from sara_ros.core.spec_fit import require_fit
from sara_ros.core.swap import ModelIdentity, SwapState, TrialRules, TrialWindow, WantedModel
from sara_ros.core.swap_report import Answered, Boundary, SwapCounts, SwapReport
from sara_ros.policies.candidate import ModelSource, ServedModel
from sara_ros.policies.companion import Companion
from sara_ros.policies.memory import return_memory
from sara_ros.policies.rehearsal import rehearse
from sara_ros.policies.shadowed import Comparison, ShadowedPolicy
from sara_ros.policies.swappable import SwappablePolicy
from sara_ros.policies.trial import TrialPolicy

NS: Final = 1_000_000_000
MOST_REMEMBERED: Final = 16
"""Models that a row of rollbacks can return to."""
RESERVE_TIMEOUT_SEC: Final = 5.0
RESERVE_SHARE: Final = 0.8
"""Share of a command period by which commands wait for a fallback during a change."""


@dataclass(slots=True, eq=False)
class _Change:
    """One change of model until it is over; ``answered`` is called once."""

    wanted: WantedModel
    identity: ModelIdentity
    rules: TrialRules
    answered: Answered
    going_back: bool = False
    given_up: bool = False


class _GivenUpError(Exception):
    """The change is not wanted any more."""


class HotSwap:
    """
    Steers which model :attr:`policy` serves, one change at a time.

    A candidate is loaded and rehearsed on a thread of its own, then acts on trial while the model
    before it stands by; that one is freed when the trial has passed.

    :param rules: read at the start of each change.
    :param changed: receives every change of state, from any thread.
    :param compared: receives what a shadow and the active model answered.
    """

    def __init__(
        self,
        serving: ServedModel,
        source: ModelSource,
        boundary: Boundary,
        *,
        rules: Callable[[], TrialRules] = TrialRules,
        changed: Callable[[SwapReport], None] = lambda _: None,
        compared: Callable[[Comparison], None] = lambda _: None,
    ) -> None:
        """Serve ``serving``; its spec is what every candidate must fit."""
        self.policy = SwappablePolicy(serving.policy)
        self._contract = serving.policy.spec
        self._source = source
        self._boundary = boundary
        self._rules = rules
        self._changed = changed
        self._compared = compared
        self._lock = RLock()
        self._serving = serving
        self._history: list[ModelIdentity] = []
        self._change: _Change | None = None
        self._state, self._message = SwapState.IDLE, ''
        self._counts = SwapCounts()
        # What a trial or a shadow run needs until it is over.
        self._previous: ServedModel | None = None
        self._companion: Companion | None = None
        self._window: TrialWindow | None = None
        self._shadow: ShadowedPolicy | None = None
        self._shadowing: ServedModel | None = None
        self.reserve_ns = 0

    @property
    def report(self) -> SwapReport:
        """Where the newest change stands."""
        with self._lock:
            window = self._window
            return SwapReport(
                state=self._state,
                message=self._message,
                active=self._serving.identity,
                candidate=self._change.identity if self._change else ModelIdentity(),
                previous=self._history[-1] if self._history else ModelIdentity(),
                trial_chunks=window.chunks if window else 0,
                window_chunks=window.window_chunks if window else 0,
                budget_sec=window.budget_sec if window else 0.0,
                counts=self._counts,
            )

    def request(self, wanted: WantedModel, answered: Answered = lambda _: None) -> None:
        """
        Begin a change.

        :param answered: called once, from any thread, when the candidate serves, runs as a
            shadow, or is refused.
        :raises ParameterError: while another change is under way, or for an unknown runtime.
        """
        self._begin(wanted, answered, going_back=False)

    def roll_back(self, answered: Answered = lambda _: None) -> None:
        """
        Give up the change under way, or return to the model before the last one.

        :raises ParameterError: when there is neither.
        """
        with self._lock:
            change = self._change
            if change is not None and self._state.preparing:
                change.given_up = True
                self._set(SwapState.DISCARDED, f'{change.identity} was given up on request')
                self._answer(change)
            elif change is not None and self._state is SwapState.TRIAL:
                self._conclude(change, 'on request')
            elif self._state is SwapState.SHADOW:
                self.end_shadow(promote=False, reason='a rollback on request')
            elif self._history:
                self._begin(WantedModel.again(self._history[-1]), answered, going_back=True)
                return
            else:
                raise ParameterError('there is no model to go back to: none was replaced')
            report = self.report
        answered(report)

    def end_shadow(
        self, *, promote: bool, reason: str = 'on request', answered: Answered = lambda _: None
    ) -> None:
        """
        Let the shadow serve, on trial, or discard it.

        :raises ParameterError: when no shadow runs.
        """
        with self._lock:
            change, served = self._change, self._shadowing
            if self._state is not SwapState.SHADOW or change is None or served is None:
                raise ParameterError(f"no shadow runs; the state is '{self._state.value}'")
            self._stop_shadow()
            if promote:
                wanted = replace(change.wanted, shadow=False)
                change = _Change(wanted, change.identity, change.rules, answered)
                self._change = change
                self._reserve()
                self._set(SwapState.WARMING, f'shadow promoted: {reason}')
                self._start(self._rehearse, change, served)
                return
            self._set(SwapState.DISCARDED, f'shadow discarded: {reason}')
            report = self.report
        answered(report)

    def close(self, reason: str) -> None:
        """End the change under way for good: the models serve no more."""
        with self._lock:
            change = self._change
            self._stop_shadow()
            if self._companion is not None:
                self._companion.close()
            self._previous = self._companion = None
            if change is not None and not self._state.settled:
                change.given_up = True
                self._set(SwapState.REFUSED, reason)
                self._answer(change)

    def _begin(self, wanted: WantedModel, answered: Answered, *, going_back: bool) -> None:
        with self._lock:
            if self._state is SwapState.TRIAL and self._change and not self._boundary.running():
                self._conclude(self._change, '')
            if not self._state.settled:
                raise ParameterError(
                    f'a change to {self.report.candidate} is under way (state '
                    f"'{self._state.value}'); wait for its end, or give it up by a rollback"
                )
            identity = wanted.after(self._serving.identity)
            change = _Change(wanted, identity, self._rules(), answered, going_back)
            self._change, self._window = change, None
            self._reserve()
            self._set(SwapState.LOADING, f'loading {identity}')
        self._start(self._prepare, change)

    def _start(self, work: Callable[..., None], change: _Change, *arguments: object) -> None:
        def run() -> None:
            step_back()
            try:
                work(change, *arguments)
            except _GivenUpError:
                pass
            except Exception as err:  # loading a model may raise anything
                self._refuse(change, describe(err))
            return_memory()

        Thread(target=run, name='swap', daemon=True).start()

    def _prepare(self, change: _Change) -> None:
        with self.policy.gate.yielding():
            change.identity = self._source.identify(change.identity)
            if change.identity == self._serving.identity:
                with self._going_on(change):
                    self._set(SwapState.SKIPPED, f'{change.identity} already serves')
                    self._answer(change)
                return
            policy = self._source.load(change.identity)
        require_fit(self._contract, policy.spec)
        with self._going_on(change):
            self._set(SwapState.WARMING, f'{change.identity} is loaded')
        self._rehearse(change, ServedModel(policy, change.identity))

    def _rehearse(self, change: _Change, served: ServedModel) -> None:
        companion = Companion(served.policy)
        shadow = change.wanted.shadow
        try:
            rehearse(
                companion,
                gate=self.policy.gate,
                actions=self._contract.action,
                latest=self.policy.latest,
                rules=change.rules,
                timed=not shadow,
            )
            if shadow:
                self._begin_shadow(change, served)
                companion.close()
            else:
                self._switch(change, served, companion)
        except BaseException:
            companion.close()
            raise

    def _begin_shadow(self, change: _Change, served: ServedModel) -> None:
        with self._going_on(change):
            self._shadowing = served
            self._shadow = ShadowedPolicy(self._serving.policy, served.policy, self._compared)
            self.policy.replace(self._shadow)
            self._set(SwapState.SHADOW, f'{served.identity} runs beside {self._serving.identity}')
            self._answer(change)

    def _stop_shadow(self) -> None:
        if self._shadow is not None:
            self.policy.replace(self._serving.policy)
            self._shadow.close()
        self._shadow = self._shadowing = None

    def _switch(self, change: _Change, served: ServedModel, companion: Companion) -> None:
        with self._going_on(change):
            self._set(SwapState.READY, f'{served.identity} waits for the next chunk')
        self._await_reserve(change)
        with self._going_on(change):
            previous, self._serving = self._serving, served
            if change.going_back:
                self._history.pop()
                companion.close()
                self.policy.replace(served.policy)
                self._count(swaps=1, rollbacks=1)
                self._set(SwapState.ROLLED_BACK, f'{served.identity} serves again, on request')
            else:
                self._history = [*self._history, previous.identity][-MOST_REMEMBERED:]
                self._count(swaps=1)
                self._begin_trial(change, previous, companion)
            self._answer(change)

    def _begin_trial(self, change: _Change, previous: ServedModel, companion: Companion) -> None:
        window = TrialWindow(change.rules, self._contract.action)
        self._window, self._previous, self._companion = window, previous, companion
        self.policy.replace(
            TrialPolicy(
                companion,
                previous.policy,
                window,
                ended=lambda reason: self._conclude(change, reason),
            )
        )
        self._set(SwapState.TRIAL, f'{self._serving.identity} serves on trial')
        if not window.window_chunks:
            self._conclude(change, '')

    def _conclude(self, change: _Change, reason: str) -> None:
        """End a trial; it has failed when there is a ``reason``."""
        with self._lock:
            previous, companion = self._previous, self._companion
            if change is not self._change or previous is None or companion is None:
                return
            if reason and companion.busy:
                reason += '; it is still busy with its last answer, and left behind'
            dropped = self._serving if reason else previous
            if reason:
                self._serving = previous
                self._history.pop()
                self._count(swaps=1, rollbacks=1)
            self._previous = self._companion = None
            self.policy.replace(self._serving.policy)
            if reason:
                text = f'{self._serving.identity} serves again instead of {dropped.identity}'
                self._set(SwapState.ROLLED_BACK, f'{text}: {reason}')
            else:
                self._set(SwapState.ACTIVE, f'{self._serving.identity} passed its trial')
        companion.close()
        Thread(target=_discard, args=(companion,), name='swap', daemon=True).start()

    def _refuse(self, change: _Change, reason: str) -> None:
        with self._lock:
            if change is not self._change or not self._state.preparing:
                return
            self._count(refusals=1)
            self._set(SwapState.REFUSED, f'{change.identity} is refused: {reason}')
            self._answer(change)

    @contextmanager
    def _going_on(self, change: _Change) -> Iterator[None]:
        """Hold the lock, unless the change was given up."""
        with self._lock:
            if change.given_up:
                raise _GivenUpError
            yield

    def _await_reserve(self, change: _Change) -> None:
        deadline_sec = time.monotonic() + RESERVE_TIMEOUT_SEC
        while self._boundary.running() and not self._boundary.reserved():
            if change.given_up or time.monotonic() > deadline_sec:
                return
            time.sleep(0.005)

    def _reserve(self) -> None:
        """Make room in each command period for an answer of the previous model after a failure."""
        action = self._contract.action
        if action.horizon == 1:  # a longer chunk bridges the gap itself
            self.reserve_ns = int(RESERVE_SHARE / action.rate_hz * NS)
            self._boundary.reserve(self.reserve_ns)

    def _count(self, *, swaps: int = 0, rollbacks: int = 0, refusals: int = 0) -> None:
        self._counts = SwapCounts(
            self._counts.swaps + swaps,
            self._counts.rollbacks + rollbacks,
            self._counts.refusals + refusals,
        )

    def _set(self, state: SwapState, message: str) -> None:
        self._state, self._message = state, message
        if state.settled or state is SwapState.SHADOW:
            self.reserve_ns = 0
            self._boundary.reserve(0)
        self._changed(self.report)

    def _answer(self, change: _Change) -> None:
        answered, change.answered = change.answered, lambda _: None
        answered(self.report)


def _discard(companion: Companion) -> None:
    companion.join()
    return_memory()
