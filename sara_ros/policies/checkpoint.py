"""Models on disk: ``policy.json``, ``weights.safetensors`` and the model card made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import hashlib
import json
import os
from pathlib import Path
import shutil
import tempfile
from typing import Any, Final

from safetensors import SafetensorError
from safetensors.torch import load, save_file
import torch
from torch import Tensor, nn

from sara_ros.core import CheckpointError, PolicySpec, SpecError
from sara_ros.core.files import replacing
from sara_ros.core.json_fields import Fields
from sara_ros.policies.model_card import model_card

FORMAT_VERSION: Final = 1
POLICY_FILE: Final = 'policy.json'
WEIGHTS_FILE: Final = 'weights.safetensors'
CARD_FILE: Final = 'README.md'
AGAIN: Final = 'what was there is as it was before. Make room and give the same command again'


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """
    Everything that is known about a model except its weights.

    :param spec: what the graph must know.
    :param model: architecture, as its config class writes it.
    :param parent: ``model_id`` and ``sha256`` of what it was trained from; empty for nothing.
    :param training: the command, its settings, and what it ran on.
    :param metrics: measured results, each with its number of episodes or samples.
    """

    spec: PolicySpec
    model: Mapping[str, Any]
    parent: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint as read from ``folder``; ``weights`` states file, SHA-256 and size."""

    checkpoint: Checkpoint
    folder: Path
    weights: Mapping[str, Any]

    def load_weights(self) -> dict[str, Tensor]:
        """
        Return the tensors once their hash is verified.

        :raises CheckpointError: for a missing, changed or unreadable file, and for NaN.
        """
        return _load_weights(self.folder, self.weights)


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One folder below the models folder; ``error`` is empty when it can be read."""

    model_id: str
    stored: StoredCheckpoint | None
    error: str = ''


def save(models_dir: Path, checkpoint: Checkpoint, tensors: Mapping[str, Tensor]) -> Path:
    """
    Write a model folder; it appears, or replaces the one before it, only when complete.

    Matrices are rounded to 16 bits, which halves the file, unless their numbers are too large for
    that; vectors (biases, norms, ranges of states) keep theirs.

    :raises CheckpointError: for a bad name, NaN weights, or a disk that is full.
    """
    folder = model_folder(models_dir, checkpoint.spec.model_id)
    tensors = {name: _compact(tensor) for name, tensor in tensors.items()}
    _refuse_nan(tensors, checkpoint.spec.model_id)
    models_dir.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f'.{folder.name}.', dir=models_dir))
    try:
        _write(temporary, checkpoint, tensors)
        temporary.chmod(0o755)
        _replace(temporary, folder)
    except (OSError, SafetensorError) as err:
        message = f"model '{folder.name}': cannot be written to {models_dir}: {err}; {AGAIN}"
        raise CheckpointError(message) from err
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def read(models_dir: Path, model_id: str) -> StoredCheckpoint:
    """
    Read ``policy.json``; the weights are not touched.

    :raises CheckpointError: when the folder or the file is missing, or says something impossible.
    """
    folder = model_folder(models_dir, model_id)
    path = folder / POLICY_FILE
    try:
        for part in (folder, path, folder / WEIGHTS_FILE):
            _refuse_outside(part, models_dir)
        if not folder.is_dir():
            known = ', '.join(entry.name for entry in _folders(models_dir)) or 'none'
            raise CheckpointError(f"model '{model_id}' not found in {models_dir}; it has: {known}")
        data = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as err:
        raise CheckpointError(f"model '{model_id}': cannot read {path}: {err}") from err
    return _parse(data, folder)


def add_metrics(models_dir: Path, model_id: str, metrics: Mapping[str, Any]) -> None:
    """
    Add results measured after training to ``policy.json`` and the model card.

    :raises CheckpointError: when the model cannot be read or written.
    """
    folder = read(models_dir, model_id).folder
    data = json.loads((folder / POLICY_FILE).read_text(encoding='utf-8'))
    data['metrics'] = {**data.get('metrics', {}), **metrics}
    data = json.loads(_json_text(data))
    try:
        # Both are written before either is renamed, so that they do not come to disagree.
        with replacing(folder / CARD_FILE) as card, replacing(folder / POLICY_FILE) as policy:
            card.write_text(model_card(data), encoding='utf-8')
            policy.write_text(_json_text(data), encoding='utf-8')
    except OSError as err:
        names = f'{folder / POLICY_FILE} and {CARD_FILE}'
        message = f"model '{model_id}': {names} cannot be written: {err}; {AGAIN}"
        raise CheckpointError(message) from err


def list_models(models_dir: Path) -> list[ModelEntry]:
    """
    Return an entry for each model folder by name; broken ones with what is wrong.

    :raises CheckpointError: when ``models_dir`` cannot be looked into.
    """
    entries = []
    for name in model_names(models_dir):
        try:
            entries.append(ModelEntry(name, read(models_dir, name)))
        except CheckpointError as err:
            entries.append(ModelEntry(name, None, str(err)))
    return entries


def model_names(models_dir: Path) -> list[str]:
    """Return the names of the folders below ``models_dir`` in order, hidden ones left out."""
    return [folder.name for folder in _folders(models_dir)]


def load_into(network: nn.Module, stored: StoredCheckpoint) -> None:
    """
    Load the verified weights into ``network``.

    :raises CheckpointError: naming tensors that are missing, unexpected or of another shape.
    """
    fill(network, stored.load_weights(), stored.checkpoint.spec.model_id)


def fill(network: nn.Module, tensors: Mapping[str, Tensor], model_id: str) -> None:
    """Load ``tensors`` into ``network``; see :func:`load_into`."""
    expected = network.state_dict()
    problems = [f'{name} is missing' for name in expected if name not in tensors]
    problems += [f'{name} is unexpected' for name in tensors if name not in expected]
    for name in expected.keys() & tensors.keys():
        wanted, found = tuple(expected[name].shape), tuple(tensors[name].shape)
        if wanted != found:
            problems.append(f'{name} has shape {found}, expected {wanted}')
    if problems:
        shown = '; '.join(sorted(problems)[:3])
        raise CheckpointError(
            f"model '{model_id}': weights do not fit the architecture in {POLICY_FILE} "
            f'({len(problems)} tensors): {shown}'
        )
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})


def round_as_stored(network: nn.Module) -> None:
    """Round a network to what :func:`save` keeps of it, so that the stored model is measured."""
    state = network.state_dict()
    network.load_state_dict({name: _compact(tensor) for name, tensor in state.items()})


def sha256_of(path: Path) -> str:
    """Return the hash of a file as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def model_folder(models_dir: Path, model_id: str) -> Path:
    """
    Return the folder of ``model_id``.

    :raises CheckpointError: for a name that is not a plain folder name.
    """
    plain = model_id and model_id.strip() == model_id and not set(model_id) & set('/\\:\0')
    if not plain or model_id.startswith('.'):
        raise CheckpointError(
            f'model id {model_id!r} is not a plain folder name; no separators, no leading dot'
        )
    return models_dir / model_id


def _refuse_outside(path: Path, models_dir: Path) -> None:
    if not path.resolve().is_relative_to(models_dir.resolve()):
        raise CheckpointError(
            f'{path} leads outside {models_dir}, to {path.resolve()}; copy the model there instead'
        )


def _folders(models_dir: Path) -> list[Path]:
    try:
        if not models_dir.is_dir():
            return []
        visible = [path for path in models_dir.iterdir() if not path.name.startswith('.')]
        return sorted(path for path in visible if path.is_dir())
    except OSError as err:
        raise CheckpointError(f'models in {models_dir} cannot be looked at: {err}') from err


def _compact(tensor: Tensor) -> Tensor:
    half = tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor
    # Numbers above 65504 would become infinite.
    return (half if bool(torch.isfinite(half).all()) else tensor).contiguous()


def _write(folder: Path, checkpoint: Checkpoint, tensors: Mapping[str, Tensor]) -> None:
    weights = folder / WEIGHTS_FILE
    save_file(dict(tensors), weights)
    data = {
        'format_version': FORMAT_VERSION,
        'spec': checkpoint.spec.to_dict(),
        'model': dict(checkpoint.model),
        'parent': dict(checkpoint.parent),
        'training': dict(checkpoint.training),
        'metrics': dict(checkpoint.metrics),
        'weights': {
            'file': WEIGHTS_FILE,
            'sha256': sha256_of(weights),
            'size_bytes': weights.stat().st_size,
        },
    }
    text = _json_text(data)
    # The card is made from what is written, in which tuples have become lists.
    (folder / CARD_FILE).write_text(model_card(json.loads(text)), encoding='utf-8')
    (folder / POLICY_FILE).write_text(text, encoding='utf-8')
    for path in folder.iterdir():
        path.chmod(0o644)  # safetensors writes files that only their owner can read
        with path.open('rb') as file:
            os.fsync(file.fileno())


def _json_text(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=1, allow_nan=False) + '\n'


def _replace(temporary: Path, folder: Path) -> None:
    """Put ``temporary`` in the place of ``folder``, which a rename cannot do when it exists."""
    old = temporary.with_name(temporary.name + '.old')
    if folder.exists():
        folder.rename(old)
    try:
        temporary.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _parse(data: Any, folder: Path) -> StoredCheckpoint:
    where = f"model '{folder.name}': {POLICY_FILE}"
    try:
        return _parsed(data, folder, where)
    except SpecError as err:
        raise CheckpointError(f'{where}: {err}') from err


def _parsed(data: Any, folder: Path, where: str) -> StoredCheckpoint:
    fields = Fields(data, 'policy')
    version = fields.integer('format_version')
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f'{where} has format_version {version}; this version of sara_ros reads '
            f'{FORMAT_VERSION}'
        )
    spec = PolicySpec.from_dict(fields.mapping('spec'))
    if spec.model_id != folder.name:
        raise CheckpointError(f"{where} is of model '{spec.model_id}'; rename the folder")
    checkpoint = Checkpoint(
        spec=spec,
        model=fields.mapping('model'),
        parent=fields.mapping('parent', {}),
        training=fields.mapping('training', {}),
        metrics=fields.mapping('metrics', {}),
    )
    weights = fields.child('weights')
    stated = {name: weights.text(name) for name in ('file', 'sha256')}
    if stated['file'] != WEIGHTS_FILE:
        raise CheckpointError(f"{where}: weights.file is '{stated['file']}', not {WEIGHTS_FILE}")
    size = weights.integer('size_bytes')
    return StoredCheckpoint(checkpoint, folder, {**stated, 'size_bytes': size})


def _load_weights(folder: Path, weights: Mapping[str, Any]) -> dict[str, Tensor]:
    path = folder / str(weights['file'])
    if not path.is_file():
        raise CheckpointError(f"model '{folder.name}': {path} is missing")
    try:
        data = path.read_bytes()  # once, so that what is loaded is what was hashed
    except OSError as err:
        raise CheckpointError(f"model '{folder.name}': cannot read {path}: {err}") from err
    found = hashlib.sha256(data).hexdigest()
    if found != weights['sha256']:
        raise CheckpointError(
            f"model '{folder.name}': {path.name} has SHA-256 {found[:12]}..., {POLICY_FILE} "
            f'states {str(weights["sha256"])[:12]}...; the file was changed, restore it'
        )
    try:
        tensors: dict[str, Tensor] = load(data)
    except (SafetensorError, ValueError) as err:
        message = f"model '{folder.name}': {path.name} is not a safetensors file: {err}"
        raise CheckpointError(message) from err
    _refuse_nan(tensors, folder.name)
    return tensors


def _refuse_nan(tensors: Mapping[str, Tensor], model_id: str) -> None:
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"model '{model_id}': weights of {name} are not finite")
