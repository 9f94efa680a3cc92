"""The RT-2 variant as a policy: camera images and an instruction to action tokens."""

from __future__ import annotations

from dataclasses import dataclass
import time

import torch
from torch import Tensor

from sara_ros.core import ActionChunk, Observation, PolicySpec, SpecError
from sara_ros.policies.action_tokens import ActionTokens, mean_entropy
from sara_ros.policies.preprocess import image_tensor, state_parts, state_tensor
from sara_ros.policies.rt2_config import RT2Config
from sara_ros.policies.rt2_network import RT2Network
from sara_ros.policies.words import Vocabulary


@dataclass(frozen=True, slots=True)
class RT2Inputs:
    """What one forward pass takes, as a batch of one."""

    images: tuple[Tensor, ...]
    state: Tensor
    words: Tensor


class RT2Policy:
    """Greedy autoregressive decoding of one token a dimension and step."""

    def __init__(self, spec: PolicySpec, network: RT2Network, device: str = 'cpu') -> None:
        """
        Serve ``network`` under ``spec``.

        :raises SpecError: when the two do not fit each other.
        """
        check_fit(spec, network.config)
        self._spec = spec
        self.network = network.eval().to(device)
        self._device = torch.device(device)
        self._tokens = action_tokens(spec, network.config)
        self._low, self._high = (
            torch.from_numpy(end) for end in (spec.action.low, spec.action.high)
        )
        self._vocabulary = Vocabulary(network.config.vocabulary, network.config.max_words)
        self._state = state_parts(spec, network.config.state)

    @property
    def spec(self) -> PolicySpec:
        """What the policy needs, what it returns, and at which rate."""
        return self._spec

    def act(self, observation: Observation) -> ActionChunk:
        """
        Choose the next actions; ``uncertainty`` is the mean token entropy of each step.

        :raises ObservationError: when the observation does not fit the spec.
        """
        inputs = self.preprocess(observation)
        timing = observation.timing.mark('preprocess', time.monotonic_ns())
        values, uncertainty = self.infer(inputs)
        timing = timing.mark('inference', time.monotonic_ns())
        return ActionChunk(values=values.numpy(), uncertainty=uncertainty.numpy(), timing=timing)

    def reset(self) -> None:
        """Forget history; there is none."""

    def preprocess(self, observation: Observation) -> RT2Inputs:
        """Check, shrink and collect what the network takes."""
        words = self._vocabulary.encode(observation.instruction)[None]
        images = tuple(
            image_tensor(observation, view.name, view.height, view.width).to(self._device)
            for view in self.network.config.views
        )
        state = state_tensor(observation, self._state)
        return RT2Inputs(images, state.to(self._device), words.to(self._device))

    @torch.inference_mode()
    def infer(self, inputs: RT2Inputs) -> tuple[Tensor, Tensor]:
        """Return the chunk ``(horizon, dimensions)`` and its uncertainty ``(horizon,)``."""
        made = self.network.generate(inputs.images, inputs.state, inputs.words)
        probabilities = made.probabilities[0].float().cpu()  # (T, bins)
        if self.network.config.decode == 'expectation':
            values = self._tokens.expectation(probabilities)
        else:
            values = self._tokens.decode(made.tokens[0].cpu())
        if self.network.config.relative_to:
            values = values + inputs.state[0, self.network.config.reference].cpu()
        values = values.clamp(self._low, self._high)
        return values, mean_entropy(probabilities, self._tokens.horizon)


def action_tokens(spec: PolicySpec, config: RT2Config) -> ActionTokens:
    """
    Return the coding of a model's actions.

    :raises ParameterError: for token ranges that do not go with the spec.
    """
    return ActionTokens(spec.action, config.bins, low=config.token_low, high=config.token_high)


def check_fit(spec: PolicySpec, config: RT2Config) -> None:
    """
    Check that the network reads what the spec asks for and returns what it promises.

    :raises SpecError: naming the difference.
    """
    count = spec.action.horizon * len(spec.action.dimensions)
    if config.actions != count:
        raise SpecError(
            f"model '{spec.model_id}': the network has {config.actions} action tokens, the spec "
            f'{spec.action.horizon} x {len(spec.action.dimensions)}'
        )
    for view in config.views:
        if spec.observation(view.name).kind != 'image':
            raise SpecError(f"model '{spec.model_id}': view '{view.name}' is not an image")
    for part in config.state:
        spec.observation(part.name)
        if part.name == config.relative_to and part.size != len(spec.action.dimensions):
            raise SpecError(
                f"model '{spec.model_id}': '{part.name}' has {part.size} numbers, the action "
                f'that is relative to it {len(spec.action.dimensions)}'
            )
