"""Learned policies: networks, checkpoints on disk, and loading one by name."""

from sara_ros.policies.action_tokens import ActionTokens
from sara_ros.policies.checkpoint import Checkpoint, ModelEntry, StoredCheckpoint, list_models
from sara_ros.policies.loading import load_policy, verify, warm_up

__all__ = [
    'ActionTokens',
    'Checkpoint',
    'ModelEntry',
    'StoredCheckpoint',
    'list_models',
    'load_policy',
    'verify',
    'warm_up',
]
