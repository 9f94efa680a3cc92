"""The PCT variant as a policy: a point cloud and an instruction to an end-effector action."""

from __future__ import annotations

from dataclasses import dataclass
import time

import torch
from torch import Tensor

from sara_ros.core import ActionChunk, Observation, PolicySpec, SpecError
from sara_ros.policies.pct_config import PCTConfig
from sara_ros.policies.pct_network import PCTNetwork
from sara_ros.policies.point_filter import filter_points
from sara_ros.policies.preprocess import state_parts, state_tensor
from sara_ros.policies.words import Vocabulary


@dataclass(frozen=True, slots=True)
class PCTInputs:
    """What one forward pass takes, as a batch of one."""

    points: Tensor
    state: Tensor
    words: Tensor


class PCTPolicy:
    """Regresses one action from the filtered cloud."""

    def __init__(self, spec: PolicySpec, network: PCTNetwork, device: str = 'cpu') -> None:
        """
        Serve ``network`` under ``spec``.

        :raises SpecError: when the two do not fit each other.
        """
        check_fit(spec, network.config)
        self._spec = spec
        self.network = network.eval().to(device)
        self._device = torch.device(device)
        self._vocabulary = Vocabulary(network.config.vocabulary, network.config.max_words)
        self._state = state_parts(spec, network.config.state)
        self._low = torch.from_numpy(spec.action.low)
        self._high = torch.from_numpy(spec.action.high)

    @property
    def spec(self) -> PolicySpec:
        """What the policy needs, what it returns, and at which rate."""
        return self._spec

    def act(self, observation: Observation) -> ActionChunk:
        """
        Choose the next actions.

        :raises ObservationError: when the observation does not fit the spec.
        """
        inputs = self.preprocess(observation)
        timing = observation.timing.mark('preprocess', time.monotonic_ns())
        values = self.infer(inputs)
        timing = timing.mark('inference', time.monotonic_ns())
        return ActionChunk(values=values.numpy(), timing=timing)

    def reset(self) -> None:
        """Forget history; there is none."""

    def preprocess(self, observation: Observation) -> PCTInputs:
        """Check, filter and collect what the network takes."""
        words = self._vocabulary.encode(observation.instruction)[None, None]
        state = state_tensor(observation, self._state)
        config = self.network.config
        points = torch.from_numpy(filter_points(observation[config.cloud], config))[None]
        return PCTInputs(points.to(self._device), state.to(self._device), words.to(self._device))

    @torch.inference_mode()
    def infer(self, inputs: PCTInputs) -> Tensor:
        """Return the chunk ``(horizon, dimensions)``, inside the ranges of the spec."""
        output = self.network(inputs.points, inputs.state, inputs.words)
        unit = output.actions[0, 0].float().cpu().clamp(-1, 1)  # (T,)
        steps = unit.reshape(self._spec.action.horizon, -1)
        values: Tensor = self._low + (steps + 1) / 2 * (self._high - self._low)
        return values


def check_fit(spec: PolicySpec, config: PCTConfig) -> None:
    """
    Check that the network reads what the spec asks for and returns what it promises.

    :raises SpecError: naming the difference.
    """
    count = spec.action.horizon * len(spec.action.dimensions)
    if config.actions != count:
        raise SpecError(
            f"model '{spec.model_id}': the network has {config.actions} outputs, the spec "
            f'{spec.action.horizon} x {len(spec.action.dimensions)}'
        )
    if spec.observation(config.cloud).kind != 'points':
        raise SpecError(f"model '{spec.model_id}': observation '{config.cloud}' is not points")
    sizes = {part.name: part.size for part in config.state}
    if sizes.get(config.pose) != 7:
        raise SpecError(f"model '{spec.model_id}': state has no pose '{config.pose}' of 7 numbers")
    for name in sizes:
        spec.observation(name)
