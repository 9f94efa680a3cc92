"""The PCT variant as a policy: a point cloud and an instruction to an end-effector action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import time

import torch
from torch import Tensor

from sara_ros.core import ActionChunk, Observation, PolicySpec, SpecError
from sara_ros.core.action import FloatArray
from sara_ros.policies.grasp_head import GRASP
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
    """
    Regresses one action from the filtered cloud.

    A network with a grasp head also says how to grasp the block that the instruction names:
    ``extras['grasp']`` of a chunk is ``(8,)``, the fingertips' position (m, frame of the cloud),
    the direction to approach along (unit vector), and sine and cosine of the roll about it.
    """

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
        return self.act_batch([self], [observation])[0]

    @staticmethod
    def act_batch(
        policies: Sequence[PCTPolicy], observations: Sequence[Observation]
    ) -> list[ActionChunk]:
        """
        Act for several runs in one pass of the network that they share.

        :raises ObservationError: when an observation does not fit the spec.
        """
        inputs, timings = [], []
        for policy, observation in zip(policies, observations, strict=True):
            inputs.append(policy.preprocess(observation))
            timings.append(observation.timing.mark('preprocess', time.monotonic_ns()))
        values, extras = policies[0]._inferred(_joined(inputs))
        now_ns = time.monotonic_ns()
        return [
            ActionChunk(values=chosen, timing=timing.mark('inference', now_ns), extras=extra)
            for chosen, timing, extra in zip(values.numpy(), timings, extras, strict=True)
        ]

    def reset(self) -> None:
        """Forget history; there is none."""

    def preprocess(self, observation: Observation) -> PCTInputs:
        """Check, filter and collect what the network takes."""
        words = self._vocabulary.encode(observation.instruction)[None, None]
        state = state_tensor(observation, self._state)
        config = self.network.config
        points = torch.from_numpy(filter_points(observation[config.cloud], config))[None]
        return PCTInputs(points.to(self._device), state.to(self._device), words.to(self._device))

    def infer(self, inputs: PCTInputs) -> Tensor:
        """Return the chunk ``(horizon, dimensions)``, inside the ranges of the spec."""
        return self._inferred(inputs)[0][0]

    @torch.inference_mode()
    def _inferred(self, inputs: PCTInputs) -> tuple[Tensor, list[dict[str, FloatArray]]]:
        """Return ``(B, horizon, dimensions)``, and what else there is to each row."""
        output = self.network(inputs.points, inputs.state, inputs.words)
        unit = output.actions[:, 0].float().cpu().clamp(-1, 1)  # (B, T)
        steps = unit.reshape(len(unit), self._spec.action.horizon, -1)
        values: Tensor = self._low + (steps + 1) / 2 * (self._high - self._low)
        head = self.network.grasp
        if head is None or output.grasps is None:
            return values, [{} for _ in values]
        grasps = head.decode(output.grasps[:, 0].float().cpu()).numpy()
        return values, [{GRASP: grasp} for grasp in grasps]


def _joined(inputs: Sequence[PCTInputs]) -> PCTInputs:
    return PCTInputs(
        torch.cat([each.points for each in inputs]),
        torch.cat([each.state for each in inputs]),
        torch.cat([each.words for each in inputs]),
    )


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
