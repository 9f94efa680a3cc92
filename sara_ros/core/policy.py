"""The one contract every policy and every wrapper around a policy keeps."""

from __future__ import annotations

from typing import Final, Protocol

from sara_ros.core.action import ActionChunk
from sara_ros.core.observation import Observation
from sara_ros.core.spec import PolicySpec

SCRIPTED_EXPERT: Final = 'scripted_expert'
"""Model id of the simulator's own expert, which is not learned."""


class Policy(Protocol):
    """
    Turns an observation into an action chunk.

    Timing, clipping, recording and hot swap each wrap a policy and are one themselves.
    """

    @property
    def spec(self) -> PolicySpec:
        """What the policy needs, what it returns, and at which rate."""
        ...

    def act(self, observation: Observation) -> ActionChunk:
        """
        Choose the next actions.

        The chunk's timing is the observation's, with ``preprocess`` and ``inference`` marked.

        :raises ObservationError: when the observation does not fit the spec.
        """
        ...

    def reset(self) -> None:
        """Forget history; called before every run."""
        ...
