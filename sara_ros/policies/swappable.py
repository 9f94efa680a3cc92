"""The policy whose model can be replaced while it serves."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock

from sara_ros.core import ActionChunk, Observation, Policy, PolicySpec
from sara_ros.core.courtesy import Gate


class SwappablePolicy:
    """
    Hands every observation to its current policy, which is replaced between two chunks.

    The first policy's observations and ranges are those that the graph is set up for, so they
    stay in the spec whichever policy is the current one.
    ``gate`` is closed while an answer is computed; ``latest`` is the newest observation.
    """

    def __init__(self, policy: Policy) -> None:
        """Serve ``policy``."""
        self._contract = self._spec = policy.spec
        self._current = policy
        self._next: Policy | None = None
        self._acting = False
        self._lock = Lock()
        self.gate = Gate()
        self.latest: Observation | None = None

    @property
    def spec(self) -> PolicySpec:
        """The spec of the current policy, with the first one's observations and ranges."""
        return self._spec

    def act(self, observation: Observation) -> ActionChunk:
        """Answer with the current policy; see :meth:`sara_ros.core.Policy.act`."""
        with self._lock:
            self._acting = True
            policy = self._current
        self.latest = observation
        try:
            with self.gate:
                return labelled(policy.act(observation), policy)
        finally:
            with self._lock:
                self._acting = False
                if self._next is not None:
                    self._take_over(self._next)

    def reset(self) -> None:
        """Forget history."""
        self._current.reset()

    def replace(self, policy: Policy) -> None:
        """Let ``policy`` answer from the next observation on."""
        with self._lock:
            if self._acting:
                self._next = policy
            else:
                self._take_over(policy)

    def _take_over(self, policy: Policy) -> None:
        self._current, self._next = policy, None
        action = replace(self._contract.action, horizon=policy.spec.action.horizon)
        self._spec = replace(policy.spec, observations=self._contract.observations, action=action)


def labelled(chunk: ActionChunk, policy: Policy) -> ActionChunk:
    """Return ``chunk`` with the name of the model that computed it."""
    return chunk if chunk.model_id else replace(chunk, model_id=policy.spec.model_id)
