"""Which models below a folder are rows of the success table, and what each is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import hashlib
import json
from pathlib import Path
from typing import Any, Final

from sara_ros.core import ParameterError, PolicySpec
from sara_ros.policies.checkpoint import Checkpoint, StoredCheckpoint, list_models, read
from sara_ros.sim.policy_sensors import check_fit

SOFTMAX: Final = 'softmax'
CONTROL: Final = 'softmax + same extra steps'
COLUMNS: Final = (SOFTMAX, CONTROL, 'sara', 'taylor', 'window+linear', 'uniform')
"""Backends of the table, in its order; others follow by name."""


@dataclass(frozen=True, slots=True)
class Variant:
    """
    A model as a row.

    :param policy: the model it was up-trained from, or its own name.
    :param backend: its attention backend, or ``CONTROL`` when it is one.
    :param sha256: of its weights.
    :param identity: hash of all that its actions depend on.
    """

    model_id: str
    policy: str
    backend: str
    sha256: str
    identity: str
    spec: PolicySpec

    @property
    def sees_points(self) -> bool:
        """Whether depth matters to it."""
        return any(need.kind == 'points' for need in self.spec.observations)


def find_variants(models_dir: Path) -> tuple[list[Variant], dict[str, str]]:
    """
    Return the models that the tabletop can play, and the others with the reason.

    A model with the architecture of its parent was up-trained from it; with softmax, it is the
    control of the parent's other children.
    """
    entries = list_models(models_dir)
    stored = {entry.model_id: entry.stored for entry in entries if entry.stored is not None}
    skipped = {entry.model_id: entry.error for entry in entries if entry.stored is None}
    variants = []
    for name, model in stored.items():
        try:
            check_fit(model.checkpoint.spec)
        except ParameterError as err:
            skipped[name] = str(err)
            continue
        variants.append(_variant(model, stored))
    return sorted(variants, key=_order), skipped


def variant_of(models_dir: Path, model_id: str) -> Variant:
    """
    Return one model as a row.

    :raises CheckpointError: when it cannot be read.
    :raises ParameterError: when it does not fit the tabletop.
    """
    stored = read(models_dir, model_id)
    check_fit(stored.checkpoint.spec)
    return _variant(stored, {model_id: stored})


def control_of(variant: Variant, variants: Sequence[Variant]) -> Variant | None:
    """Return the softmax model that had the same extra steps; ``None`` for softmax itself."""
    if variant.backend in (SOFTMAX, CONTROL):
        return None
    family = [other for other in variants if other.policy == variant.policy]
    return next((other for other in family if other.backend == CONTROL), None)


def column_order(backend: str) -> tuple[int, str]:
    """Return a key that sorts backends as the table has them."""
    return (COLUMNS.index(backend) if backend in COLUMNS else len(COLUMNS), backend)


def _variant(stored: StoredCheckpoint, known: Mapping[str, StoredCheckpoint]) -> Variant:
    checkpoint = stored.checkpoint
    name = checkpoint.spec.model_id
    parent = _same_network(checkpoint, known)
    backend = backend_label(checkpoint.spec.attention)
    if parent and backend == SOFTMAX:
        backend = CONTROL
    root = parent or name
    while parent := _same_network(known[root].checkpoint, known) if root in known else '':
        root = parent
    sha256 = str(stored.weights['sha256'])
    return Variant(name, root, backend, sha256, _identity(sha256, checkpoint), checkpoint.spec)


def _identity(sha256: str, checkpoint: Checkpoint) -> str:
    served = [sha256, checkpoint.spec.to_dict(), dict(checkpoint.model)]
    return hashlib.sha256(json.dumps(served, sort_keys=True).encode()).hexdigest()


def _same_network(checkpoint: Checkpoint, known: Mapping[str, StoredCheckpoint]) -> str:
    """Return the parent's name, unless it is of another architecture or not there to compare."""
    parent = str(checkpoint.parent.get('model_id', ''))
    if not parent or parent == checkpoint.spec.model_id:
        return ''
    if parent in known and dict(known[parent].checkpoint.model) != dict(checkpoint.model):
        return ''
    return parent if parent in known or 'uptraining' in checkpoint.training else ''


def backend_label(attention: Mapping[str, Any]) -> str:
    """Return the backend of a spec's attention, with its layers where they are not all."""
    name = str(attention.get('backend', ''))
    if 'layers' in attention:
        layers = ', '.join(str(layer) for layer in attention['layers'])
        return f'{name} in layers {layers}'
    return name


def _order(variant: Variant) -> tuple[str, str, tuple[int, str]]:
    return variant.spec.kind, variant.policy, column_order(variant.backend)
