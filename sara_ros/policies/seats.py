"""Several runs of one policy side by side, which act in one pass of its network."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from sara_ros.core import ActionChunk, Observation, Policy
from sara_ros.policies.loading import serve
from sara_ros.policies.pct import PCTPolicy
from sara_ros.policies.rt2 import RT2Policy


class Seats:
    """
    Runs of one policy: each remembers only its own, and the network is there once.

    A policy of another kind than ours acts for one run after another.
    """

    def __init__(self, policy: Policy, count: int) -> None:
        """
        Seat ``count`` runs of ``policy``.

        A policy without a network of ours must not remember anything between observations.
        """
        network = getattr(policy, 'network', None)
        self._policies: list[Policy] = [
            serve(policy.spec, network, _device(network))
            if isinstance(network, nn.Module)
            else policy
            for _ in range(count)
        ]

    def reset(self, seat: int) -> None:
        """Begin a new run at ``seat``."""
        self._policies[seat].reset()

    def act(self, observations: Mapping[int, Observation]) -> dict[int, ActionChunk]:
        """
        Return the chunk of each seat for its observation.

        :raises ObservationError: when one does not fit the spec.
        """
        seated = [self._policies[seat] for seat in observations]
        chunks = _together(seated, list(observations.values()))
        return dict(zip(observations, chunks, strict=True))


def _together(policies: list[Policy], observations: list[Observation]) -> list[ActionChunk]:
    with_images = [policy for policy in policies if isinstance(policy, RT2Policy)]
    if len(with_images) == len(policies):
        return RT2Policy.act_batch(with_images, observations)
    with_points = [policy for policy in policies if isinstance(policy, PCTPolicy)]
    if len(with_points) == len(policies):
        return PCTPolicy.act_batch(with_points, observations)
    pairs = zip(policies, observations, strict=True)
    return [policy.act(observation) for policy, observation in pairs]


def _device(network: nn.Module) -> str:
    return str(next(network.parameters()).device)
