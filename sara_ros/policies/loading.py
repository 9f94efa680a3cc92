"""Policies by name: from the models folder, or built in."""

from __future__ import annotations

from dataclasses import replace
import logging
from pathlib import Path
from typing import Any, Final

import numpy as np
from torch import Tensor, nn

from sara_ros.attention import backend_class, settle_network
from sara_ros.core import (
    CheckpointError,
    Observation,
    ObservationSpec,
    ParameterError,
    Policy,
    PolicySpec,
    SaraError,
)
from sara_ros.policies import checkpoint as checkpoints
from sara_ros.policies.attention_layers import SOFTMAX, attention_layers, place_attention
from sara_ros.policies.checkpoint import Checkpoint, StoredCheckpoint
from sara_ros.policies.pct import PCTPolicy
from sara_ros.policies.pct_config import PCTConfig
from sara_ros.policies.pct_network import PCTNetwork
from sara_ros.policies.rt2 import RT2Policy
from sara_ros.policies.rt2_config import RT2Config
from sara_ros.policies.rt2_network import RT2Network

SCRIPTED_EXPERT: Final = 'scripted_expert'
KINDS: Final = ('rt2', 'pct')

_log = logging.getLogger(__name__)


def load_policy(
    models_dir: Path | str, model_id: str, *, attention_backend: str = '', device: str = 'cpu'
) -> Policy:
    """
    Load a policy, ready to act.

    Its network is made for serving: ``auto`` layers are settled on this machine, and SARA's maps
    are folded into the projections. To train on, build the network and fill it instead.

    :param model_id: a folder below ``models_dir``, or ``scripted_expert``.
    :param attention_backend: serve with another backend than the checkpoint's; empty keeps it.
        A backend that needs no trained weights serves any checkpoint (``sara`` does so with ReLU
        and identity maps); expect poor actions from it until the model was up-trained.
    :raises CheckpointError: when the model cannot be read or is not what it claims to be.
    :raises ParameterError: for a backend that is unknown or does not go with the checkpoint.
    """
    if model_id == SCRIPTED_EXPERT:
        if attention_backend:
            raise ParameterError(
                f"attention_backend is '{attention_backend}', but {SCRIPTED_EXPERT} has no "
                'attention; leave it empty'
            )
        return _scripted_expert()
    stored = checkpoints.read(Path(models_dir), model_id)
    chosen = with_backend(stored.checkpoint, attention_backend)
    network = _build(chosen)
    checkpoints.fill(network, _weights(stored, network, chosen), model_id)
    policy = serve(chosen.spec, network, device)
    settle_network(network, lambda: warm_up(policy, count=1))
    _fold(network)
    return policy


def verify(models_dir: Path | str, model_id: str) -> StoredCheckpoint:
    """
    Check all that can be checked without acting: JSON, hash, architecture, tensors.

    :raises CheckpointError: naming what is wrong.
    """
    stored = checkpoints.read(Path(models_dir), model_id)
    network = _build(stored.checkpoint)
    checkpoints.load_into(network, stored)
    return stored


def warm_up(policy: Policy, count: int = 3) -> None:
    """Act ``count`` times on made-up observations, so that the first real one is not slow."""
    for _ in range(count):
        policy.act(synthetic_observation(policy.spec))
    policy.reset()


def synthetic_observation(spec: PolicySpec) -> Observation:
    """Return an observation of the right shapes: grey images, a flat cloud, states of zero."""
    values = {need.name: _synthetic(need) for need in spec.observations}
    instruction = spec.instructions[0] if spec.instructions else 'warm up'
    return Observation.of(instruction, **values)


def build_network(checkpoint: Checkpoint) -> nn.Module:
    """
    Build the network of a checkpoint with random weights.

    :raises SpecError: when the description contradicts itself.
    :raises ParameterError: for an attention backend or option that is not known.
    """
    network: nn.Module
    if checkpoint.spec.kind == 'rt2':
        network = RT2Network(RT2Config.from_dict(checkpoint.model), *SOFTMAX)
    elif checkpoint.spec.kind == 'pct':
        network = PCTNetwork(PCTConfig.from_dict(checkpoint.model), *SOFTMAX)
    else:
        raise CheckpointError(
            f"model '{checkpoint.spec.model_id}' is of kind '{checkpoint.spec.kind}'; "
            f'known: {", ".join(KINDS)}'
        )
    place_attention(network, checkpoint.spec.attention)
    return network


def serve(spec: PolicySpec, network: nn.Module, device: str = 'cpu') -> Policy:
    """Return the policy of a network with weights."""
    if isinstance(network, RT2Network):
        return RT2Policy(spec, network, device)
    if isinstance(network, PCTNetwork):
        return PCTPolicy(spec, network, device)
    raise ParameterError(f'no policy serves a {type(network).__name__}')


def with_backend(checkpoint: Checkpoint, name: str) -> Checkpoint:
    """
    Return the checkpoint with another attention backend; see :func:`load_policy`.

    :raises ParameterError: when the backend is unknown or needs weights of its own.
    """
    trained = str(checkpoint.spec.attention.get('backend', ''))
    if name in ('', trained):
        return checkpoint
    if not backend_class(name).serves_any_checkpoint:
        raise ParameterError(
            f"attention_backend '{name}' needs weights of its own, which model "
            f"'{checkpoint.spec.model_id}' (trained with '{trained}') does not have; up-train it"
        )
    _log.warning(
        "model '%s' was trained with attention backend '%s' and is served with '%s': expect "
        'poorer actions until it is up-trained',
        checkpoint.spec.model_id, trained, name,
    )  # fmt: skip
    attention = {'backend': name, 'options': {}, 'trained_backend': trained}
    return replace(checkpoint, spec=replace(checkpoint.spec, attention=attention))


def _build(checkpoint: Checkpoint) -> nn.Module:
    try:
        network = build_network(checkpoint)
        serve(checkpoint.spec, network)
    except CheckpointError:
        raise
    except SaraError as err:
        raise CheckpointError(f"model '{checkpoint.spec.model_id}': {err}") from err
    return network


def _fold(network: nn.Module) -> None:
    for name, layer in attention_layers(network).items():
        try:
            layer.fold()
        except ParameterError as err:
            _log.info("layer '%s' is not folded: %s", name, err)


def _weights(
    stored: StoredCheckpoint, network: nn.Module, chosen: Checkpoint
) -> dict[str, Tensor]:
    tensors = stored.load_weights()
    if 'trained_backend' not in chosen.spec.attention:
        return tensors
    inner = '.attention.'
    kept = {name: tensor for name, tensor in tensors.items() if inner not in name}
    fresh = {name: tensor for name, tensor in network.state_dict().items() if inner in name}
    return kept | fresh


def _scripted_expert() -> Policy:
    from sara_ros.sim.expert import ScriptedExpert

    return ScriptedExpert()


def _synthetic(need: ObservationSpec) -> Any:
    defaults = {'image': (480, 640, 3), 'points': (2000, 3 + len(need.names))}
    default = defaults.get(need.kind, (7,))
    sizes = [
        size if size is not None else default[min(index, len(default) - 1)]
        for index, size in enumerate(need.shape)
    ]
    if need.kind == 'image':
        return np.full(sizes, 128, np.uint8)
    if need.kind == 'points':
        return np.random.default_rng(0).uniform(0.0, 0.5, sizes).astype(np.float32)
    value = np.zeros(sizes, np.float32)
    if need.kind in ('pose', 'object_poses'):
        value[..., -1] = 1
    return value


__all__ = [
    'KINDS', 'SCRIPTED_EXPERT', 'build_network', 'load_policy', 'serve', 'synthetic_observation',
    'verify', 'warm_up', 'with_backend',
]  # fmt: skip
