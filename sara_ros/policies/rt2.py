"""The RT-2 variant as a policy: camera images and an instruction to action tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import time
from typing import TypeAlias

import torch
from torch import Tensor

from sara_ros.core import ActionChunk, ActionSpec, Observation, PolicySpec, SpecError
from sara_ros.policies.action_tokens import ActionTokens, mean_entropy
from sara_ros.policies.frame_history import FrameHistory
from sara_ros.policies.number_tokens import NumberTokens
from sara_ros.policies.preprocess import image_tensor, state_parts, state_tensor
from sara_ros.policies.rt2_config import RT2Config
from sara_ros.policies.rt2_network import Generated, RT2Network
from sara_ros.policies.words import Vocabulary

Coding: TypeAlias = ActionTokens | NumberTokens


@dataclass(frozen=True, slots=True)
class RT2Inputs:
    """What one forward pass takes, as a batch of one; ``stamp_ns`` is when it was seen."""

    images: tuple[Tensor, ...]
    state: Tensor
    words: Tensor
    stamp_ns: int = 0


class RT2Policy:
    """
    Greedy decoding of action tokens.

    With history it keeps the tokens of past frames, so that each frame is encoded once.
    """

    def __init__(self, spec: PolicySpec, network: RT2Network, device: str = 'cpu') -> None:
        """
        Serve ``network`` under ``spec``.

        :raises SpecError: when the two do not fit each other.
        """
        check_fit(spec, network.config)
        self._spec = spec
        self.network = network.eval().to(device)
        self._device = torch.device(device)
        self._tokens = action_tokens(spec.action, network.config)
        self._low, self._high = (
            torch.from_numpy(end) for end in (spec.action.low, spec.action.high)
        )
        self._vocabulary = Vocabulary(network.config.vocabulary, network.config.max_words)
        self._state = state_parts(spec, network.config.state)
        self._history = FrameHistory(
            network.config.history, network.config.frame_spacing_sec, 1 / spec.action.rate_hz
        )

    @property
    def spec(self) -> PolicySpec:
        """What the policy needs, what it returns, and at which rate."""
        return self._spec

    def act(self, observation: Observation) -> ActionChunk:
        """
        Choose the next actions; ``uncertainty`` is the mean token entropy of each step.

        :raises ObservationError: when the observation does not fit the spec.
        """
        return self.act_batch([self], [observation])[0]

    @staticmethod
    def act_batch(
        policies: Sequence[RT2Policy], observations: Sequence[Observation]
    ) -> list[ActionChunk]:
        """
        Act for several runs in one pass of the network that they share.

        :raises ObservationError: when an observation does not fit the spec.
        """
        inputs, timings = [], []
        for policy, observation in zip(policies, observations, strict=True):
            inputs.append(policy.preprocess(observation))
            timings.append(observation.timing.mark('preprocess', time.monotonic_ns()))
        values, uncertainty = RT2Policy.infer_batch(policies, inputs)
        now_ns = time.monotonic_ns()
        rows = zip(values.numpy(), uncertainty.numpy(), timings, strict=True)
        return [
            ActionChunk(values=chosen, uncertainty=unsure, timing=timing.mark('inference', now_ns))
            for chosen, unsure, timing in rows
        ]

    def reset(self) -> None:
        """Forget past frames."""
        self._history.clear()

    def preprocess(self, observation: Observation) -> RT2Inputs:
        """Check, shrink and collect what the network takes."""
        words = self._vocabulary.encode(observation.instruction)[None]
        images = tuple(
            image_tensor(observation, view.name, view.height, view.width).to(self._device)
            for view in self.network.config.views
        )
        state = state_tensor(observation, self._state)
        stamp_ns = observation.timing.stamp_ns
        return RT2Inputs(images, state.to(self._device), words.to(self._device), stamp_ns)

    def infer(self, inputs: RT2Inputs) -> tuple[Tensor, Tensor]:
        """Return the chunk ``(horizon, dimensions)`` and its uncertainty ``(horizon,)``."""
        values, uncertainty = self.infer_batch([self], [inputs])
        return values[0], uncertainty[0]

    @staticmethod
    @torch.inference_mode()
    def infer_batch(
        policies: Sequence[RT2Policy], inputs: Sequence[RT2Inputs]
    ) -> tuple[Tensor, Tensor]:
        """Return ``(B, horizon, dimensions)`` and ``(B, horizon)``, a row for each policy."""
        network = policies[0].network
        views = zip(*(each.images for each in inputs), strict=True)
        frames = network.encode_frame([torch.cat(images) for images in views])
        runs = zip(policies, inputs, frames.chunk(len(inputs)), strict=True)
        pasts = [policy._history.add(each.stamp_ns, frame) for policy, each, frame in runs]
        memory = network.join([torch.cat(moment) for moment in zip(*pasts, strict=True)])
        state = torch.cat([each.state for each in inputs])
        made = network.decode(memory, state, torch.cat([each.words for each in inputs]))
        return policies[0]._decoded(made, state)

    def _decoded(self, made: Generated, state: Tensor) -> tuple[Tensor, Tensor]:
        probabilities = made.probabilities.float().cpu()  # (B, T, symbols)
        if self.network.config.decode == 'expectation' and isinstance(self._tokens, ActionTokens):
            values = self._tokens.expectation(probabilities)
        else:
            values = self._tokens.decode(made.tokens.cpu())
        if self.network.config.relative_to:
            values = values + state[:, None, self.network.config.reference].cpu()
        values = values.clamp(self._low, self._high)
        return values, mean_entropy(probabilities, self._tokens.horizon)


def action_tokens(action: ActionSpec, config: RT2Config) -> Coding:
    """
    Return the coding of a model's actions.

    :raises ParameterError: for token ranges that do not go with the spec.
    """
    low, high = config.token_low, config.token_high
    if config.coding == 'vector':
        return NumberTokens(action, config.digits, low=low, high=high)
    return ActionTokens(action, config.bins, low=low, high=high)


def check_fit(spec: PolicySpec, config: RT2Config) -> None:
    """
    Check that the network reads what the spec asks for and returns what it promises.

    :raises SpecError: naming the difference.
    """
    count = spec.action.horizon * len(spec.action.dimensions)
    if config.actions != count * config.places:
        each = f' of {config.places} tokens each' if config.places > 1 else ''
        raise SpecError(
            f"model '{spec.model_id}': the network has {config.actions} action tokens, the spec "
            f'{spec.action.horizon} x {len(spec.action.dimensions)}{each}'
        )
    if spec.history != config.history:
        raise SpecError(
            f"model '{spec.model_id}': the network sees {config.history} frames, the spec states "
            f'a history of {spec.history}'
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
