"""Models that could serve next: which one is meant, and loading it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from sara_ros.core import SCRIPTED_EXPERT, CheckpointError, Policy, SaraError
from sara_ros.core.swap import ModelIdentity
from sara_ros.policies import checkpoint as checkpoints
from sara_ros.policies.loading import load_policy
from sara_ros.policies.timed import TimedPolicy


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A policy, how long its answers take, and which model it is."""

    policy: TimedPolicy
    identity: ModelIdentity

    @classmethod
    def of(cls, policy: Policy, identity: ModelIdentity) -> ServedModel:
        """Return the model with its answers timed."""
        return cls(TimedPolicy(policy), identity)


class ModelSource(Protocol):
    """Where candidates come from."""

    def identify(self, wanted: ModelIdentity) -> ModelIdentity:
        """Return ``wanted`` with what the model on disk says: its backend and its hash."""
        ...

    def load(self, identity: ModelIdentity) -> Policy:
        """Load a model, ready to act; may take long and raise anything."""
        ...


class ModelsFolder:
    """The models below one folder; nothing outside it is ever loaded."""

    def __init__(self, models_dir: Path | str) -> None:
        """Read models from ``models_dir``."""
        self._models_dir = Path(models_dir)

    def identify(self, wanted: ModelIdentity) -> ModelIdentity:
        """
        Return ``wanted`` with the backend and the hash that policy.json states.

        :raises CheckpointError: when it cannot be read, or states another hash than ``wanted``.
        """
        if wanted.model_id == SCRIPTED_EXPERT:
            return wanted
        stored = checkpoints.read(self._models_dir, wanted.model_id)
        sha256 = str(stored.weights['sha256'])
        if wanted.weights_sha256 not in ('', sha256):
            raise CheckpointError(
                f"model '{wanted.model_id}' has weights of SHA-256 {sha256[:12]}..., not "
                f'{wanted.weights_sha256[:12]}... as asked for; the folder was changed'
            )
        trained = str(stored.checkpoint.spec.attention.get('backend', ''))
        return replace(
            wanted,
            attention_backend=wanted.attention_backend or trained,
            weights_sha256=sha256,
        )

    def load(self, identity: ModelIdentity) -> Policy:
        """
        Load the model; see :func:`sara_ros.policies.loading.load_policy`.

        :raises CheckpointError: also when the folder was replaced meanwhile.
        """
        policy = load_policy(
            self._models_dir,
            identity.model_id,
            attention_backend=identity.attention_backend,
            device=identity.device,
        )
        self.identify(identity)
        return policy

    def identity_of(self, policy: Policy, device: str) -> ModelIdentity:
        """Return what serves once ``policy`` was loaded from this folder."""
        spec = policy.spec
        backend = str(spec.attention.get('backend', ''))
        identity = ModelIdentity(spec.model_id, backend, device)
        try:
            return self.identify(identity)
        except SaraError:  # made by hand, or removed meanwhile: it serves all the same
            return identity
