"""Changes the serving model: loads a candidate, tries it, and keeps the way back open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import RLock, Thread

from sara_ros.core import ParameterError, Policy
from sara_ros.core.courtesy import at_low_priority
from sara_ros.core.errors import describe
from sara_ros.core.spec_fit import require_fit
from sara_ros.core.swap import SwapState, TrialRules, WantedModel
from sara_ros.core.swap_report import Answered, Boundary, SwapReport
from sara_ros.policies.candidate import ModelSource, ServedModel
from sara_ros.policies.command_reserve import CommandReserve
from sara_ros.policies.companion import Companion
from sara_ros.policies.memory import return_memory
from sara_ros.policies.rehearsal import rehearse
from sara_ros.policies.serving_models import ServingModels
from sara_ros.policies.shadowed import Comparison
from sara_ros.policies.swap_change import Change, GivenUpError
from sara_ros.policies.swap_ledger import SwapLedger
from sara_ros.policies.swappable import SwappablePolicy


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
        self._models = ServingModels(serving)
        self._actions = self._models.contract.action
        self._source = source
        self._boundary = boundary
        self._reserve = CommandReserve(boundary, self._actions)
        self._rules = rules
        self._compared = compared
        self._lock = RLock()
        self._ledger = SwapLedger(self._models, changed)

    @property
    def policy(self) -> SwappablePolicy:
        """The policy to serve, whichever model is behind it."""
        return self._models.policy

    @property
    def reserve_ns(self) -> int:
        """By how much commands are to wait at the moment; see :class:`Boundary`."""
        return self._reserve.duration_ns

    @property
    def report(self) -> SwapReport:
        """Where the newest change stands."""
        with self._lock:
            return self._ledger.report

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
            change, history = self._ledger.change, self._models.history
            if change is not None and self._ledger.state.preparing:
                change.given_up = True
                self._set(SwapState.DISCARDED, f'{change.identity} was given up on request')
                change.answer(self.report)
            elif change is not None and self._ledger.state is SwapState.TRIAL:
                self._conclude(change, 'on request')
            elif self._ledger.state is SwapState.SHADOW:
                self.end_shadow(promote=False, reason='a rollback on request')
            elif history:
                self._begin(WantedModel.again(history[-1]), answered, going_back=True)
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
            change, served = self._ledger.change, self._models.hide()
            if change is None or served is None:
                raise ParameterError(f"no shadow runs; the state is '{self._ledger.state.value}'")
            if promote:
                wanted = replace(change.wanted, shadow=False)
                self._ledger.change = promoted = replace(change, wanted=wanted, answered=answered)
                self._reserve.take()
                self._set(SwapState.WARMING, f'shadow promoted: {reason}')
                self._start(self._rehearse, promoted, served)
                return
            self._set(SwapState.DISCARDED, f'shadow discarded: {reason}')
            report = self.report
        answered(report)

    def close(self, reason: str) -> None:
        """End the change under way for good: the models serve no more."""
        with self._lock:
            change = self._ledger.change
            self._models.close()
            if change is not None and not self._ledger.state.settled:
                change.given_up = True
                self._set(SwapState.REFUSED, reason)
                change.answer(self.report)

    def _begin(self, wanted: WantedModel, answered: Answered, *, going_back: bool) -> None:
        with self._lock:
            self._require_settled()
            identity = wanted.after(self._models.serving.identity)
            change = Change(wanted, identity, self._rules(), answered, going_back)
            self._ledger.change, self._models.window = change, None
            self._reserve.take()
            self._set(SwapState.LOADING, f'loading {identity}')
        self._start(self._prepare, change)

    def _require_settled(self) -> None:
        ledger = self._ledger
        if ledger.state is SwapState.TRIAL and ledger.change and not self._boundary.running():
            self._conclude(ledger.change, '')
        if not ledger.state.settled:
            raise ParameterError(
                f'a change to {self.report.candidate} is under way (state '
                f"'{ledger.state.value}'); wait for its end, or give it up by a rollback"
            )

    def _start(self, work: Callable[..., None], change: Change, *arguments: object) -> None:
        def run() -> None:
            try:
                work(change, *arguments)
            except GivenUpError:
                pass
            except Exception as err:  # loading a model may raise anything
                self._refuse(change, describe(err))
            at_low_priority(return_memory)

        Thread(target=run, name='swap', daemon=True).start()

    def _prepare(self, change: Change) -> None:
        policy = at_low_priority(lambda: self._load(change))
        if policy is None:
            with self._going_on(change):
                self._set(SwapState.SKIPPED, f'{change.identity} already serves')
                change.answer(self.report)
            return
        require_fit(self._models.contract, policy.spec)
        with self._going_on(change):
            self._set(SwapState.WARMING, f'{change.identity} is loaded')
        self._rehearse(change, ServedModel.of(policy, change.identity))

    def _load(self, change: Change) -> Policy | None:
        """Return the candidate; ``None`` when it serves already."""
        with self.policy.gate.yielding():
            change.identity = self._source.identify(change.identity)
            if change.identity == self._models.serving.identity:
                return None
            return self._source.load(change.identity)

    def _rehearse(self, change: Change, served: ServedModel) -> None:
        companion = Companion(served.policy)
        shadow = change.wanted.shadow
        try:
            rehearse(
                companion,
                gate=self.policy.gate,
                actions=self._actions,
                latest=self.policy.latest,
                rules=self._rules_beside_serving(change),
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

    def _rules_beside_serving(self, change: Change) -> TrialRules:
        """Return the rules with a budget that the serving model keeps to as well."""
        return change.rules.beside(self._actions, self._models.serving.policy.p95_sec)

    def _begin_shadow(self, change: Change, served: ServedModel) -> None:
        with self._going_on(change):
            self._models.show(served, self._compared)
            beside = self._models.serving.identity
            self._set(SwapState.SHADOW, f'{served.identity} runs beside {beside}')
            change.answer(self.report)

    def _switch(self, change: Change, served: ServedModel, companion: Companion) -> None:
        with self._going_on(change):
            self._set(SwapState.READY, f'{served.identity} waits for the next chunk')
        self._reserve.wait(lambda: change.given_up)
        with self._going_on(change):
            if change.going_back:
                companion.close()
                self._models.return_to(served)
                self._ledger.count(swaps=1, rollbacks=1)
                self._set(SwapState.ROLLED_BACK, f'{served.identity} serves again, on request')
            else:
                self._ledger.count(swaps=1)
                self._begin_trial(change, served, companion)
            change.answer(self.report)

    def _begin_trial(self, change: Change, served: ServedModel, companion: Companion) -> None:
        rules = self._rules_beside_serving(change)
        window = self._models.try_out(
            served, companion, rules, ended=lambda reason: self._conclude(change, reason)
        )
        self._set(SwapState.TRIAL, f'{served.identity} serves on trial')
        if not window.window_chunks:
            self._conclude(change, '')

    def _conclude(self, change: Change, reason: str) -> None:
        """End a trial; it has failed when there is a ``reason``."""
        with self._lock:
            if change is not self._ledger.change:
                return
            if reason and self._models.candidate_is_busy:
                reason += '; it is still busy with its last answer, and left behind'
            candidate = self._models.serving.identity
            companion = self._models.conclude(failed=bool(reason))
            if companion is None:
                return
            serving = self._models.serving.identity
            if reason:
                self._ledger.count(swaps=1, rollbacks=1)
                text = f'{serving} serves again instead of {candidate}'
                self._set(SwapState.ROLLED_BACK, f'{text}: {reason}')
            else:
                self._set(SwapState.ACTIVE, f'{serving} passed its trial')
        companion.close()
        Thread(target=_discard, args=(companion,), name='swap', daemon=True).start()

    def _refuse(self, change: Change, reason: str) -> None:
        with self._lock:
            if change is not self._ledger.change or not self._ledger.state.preparing:
                return
            self._ledger.count(refusals=1)
            self._set(SwapState.REFUSED, f'{change.identity} is refused: {reason}')
            change.answer(self.report)

    @contextmanager
    def _going_on(self, change: Change) -> Iterator[None]:
        """Hold the lock, unless the change was given up."""
        with self._lock:
            if change.given_up:
                raise GivenUpError
            yield

    def _set(self, state: SwapState, message: str) -> None:
        if state.settled or state is SwapState.SHADOW:
            self._reserve.give_back()
        self._ledger.enter(state, message)


def _discard(companion: Companion) -> None:
    companion.join()
    return_memory()
