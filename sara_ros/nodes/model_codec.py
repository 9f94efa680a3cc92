"""Models on disk to messages."""

from __future__ import annotations

from pathlib import Path

from sara_ros.core import CheckpointError
from sara_ros.core.errors import describe
from sara_ros.policies.checkpoint import StoredCheckpoint, list_models
from sara_ros.policies.loading import load_policy, verify, warm_up
from sara_ros.policies.watched_folder import VerifiedModel
from sara_ros_msgs.msg import ModelInfo


def describe_models(models_dir: Path) -> list[ModelInfo]:
    """Return every model folder; a broken one with what is wrong, ``verified`` once hashed."""
    return [
        _hashed(entry.stored) if entry.stored else ModelInfo(id=entry.model_id, error=entry.error)
        for entry in list_models(models_dir)
    ]


def verify_model(models_dir: Path, model_id: str) -> ModelInfo:
    """Check hash and architecture and act once; ``error`` says what failed."""
    try:
        info = _info(verify(models_dir, model_id))
    except Exception as err:  # a broken model may raise anything, and must be told of
        return ModelInfo(id=model_id, error=describe(err))
    try:
        warm_up(load_policy(models_dir, model_id), count=1)
    except Exception as err:
        info.error = describe(err)
    info.verified = not info.error
    return info


def describe_verified(model: VerifiedModel) -> ModelInfo:
    """Return a model of a watched folder."""
    if model.stored is None:
        return ModelInfo(id=model.model_id, error=model.error)
    info = _info(model.stored)
    info.verified = True
    return info


def _hashed(stored: StoredCheckpoint) -> ModelInfo:
    info = _info(stored)
    try:
        stored.load_weights()
    except CheckpointError as err:
        info.error = str(err)
    info.verified = not info.error
    return info


def _info(stored: StoredCheckpoint) -> ModelInfo:
    checkpoint = stored.checkpoint
    spec = checkpoint.spec
    return ModelInfo(
        id=spec.model_id,
        kind=spec.kind,
        weights_sha256=str(stored.weights.get('sha256', '')),
        attention_backend=str(spec.attention.get('backend', '')),
        observation_names=[need.name for need in spec.observations],
        action_dimensions=list(spec.action.names),
        rate_hz=float(spec.action.rate_hz),
        horizon=spec.action.horizon,
        learned=spec.learned,
        training_command=str(checkpoint.training.get('command', '')),
        parent=str(checkpoint.parent.get('model_id', '')),
    )
