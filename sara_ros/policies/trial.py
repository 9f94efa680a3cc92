"""A candidate that acts while the model before it stands by."""

from __future__ import annotations

from collections.abc import Callable

from sara_ros.core import ActionChunk, Observation, Policy, PolicySpec
from sara_ros.core.swap import TrialWindow
from sara_ros.policies.companion import Answer, Companion
from sara_ros.policies.swappable import labelled


class TrialPolicy:
    """
    Lets a candidate act for the time of a window, and answers itself where it fails.

    An observation that the candidate does not answer within the budget, or not well, goes to the
    previous policy. The first answer that fails the window ends the trial; the previous policy
    then answers that observation and all later ones.

    :param ended: called once, from :meth:`act`, with why the trial failed; empty if it passed.
    """

    def __init__(
        self,
        candidate: Companion,
        previous: Policy,
        window: TrialWindow,
        ended: Callable[[str], None],
    ) -> None:
        """Begin the trial."""
        self._candidate = candidate
        self._previous = previous
        self._window = window
        self._ended = ended
        self._winner: Policy | None = None
        self._previous_is_behind = True

    @property
    def spec(self) -> PolicySpec:
        """The spec of whoever answers the next observation."""
        return (self._winner or self._candidate.policy).spec

    def act(self, observation: Observation) -> ActionChunk:
        """
        Answer with the candidate, or else with the previous policy.

        :raises ObservationError: when the observation fits neither of them.
        """
        if self._winner is not None:
            return labelled(self._winner.act(observation), self._winner)
        answer = self._candidate.ask(observation, self._window.budget_sec)
        if answer is not None and answer.refused:
            chunk = self._answer_of_previous(observation)
            self._end(self._previous, answer.error)
            return chunk
        fault = self._fault(answer)
        if answer is None or answer.chunk is None or fault:
            try:
                return self._answer_of_previous(observation)
            finally:
                if fault:
                    self._end(self._previous, fault)
        self._previous_is_behind = True
        if self._window.passed:
            self._end(self._candidate.policy, '')
        return labelled(answer.chunk, self._candidate.policy)

    def reset(self) -> None:
        """Forget history."""
        if self._winner is not None:
            self._winner.reset()
            return
        self._candidate.reset()
        self._previous.reset()
        self._previous_is_behind = False

    def _fault(self, answer: Answer | None) -> str:
        if answer is None:
            return self._window.missed()
        if answer.chunk is None:
            return answer.error
        return self._window.judge(answer.chunk, answer.duration_ns * 1e-9)

    def _answer_of_previous(self, observation: Observation) -> ActionChunk:
        if self._previous_is_behind:
            self._previous.reset()
            self._previous_is_behind = False
        return labelled(self._previous.act(observation), self._previous)

    def _end(self, winner: Policy, reason: str) -> None:
        self._winner = winner
        self._ended(reason)
