"""What one up-training run is, and which run a folder belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
import fcntl
import hashlib
import json
import math
from pathlib import Path
from typing import Any, Final

from sara_ros.core import ParameterError
from sara_ros.policies.attention_layers import SOFTMAX
from sara_ros.training.disk import writing
from sara_ros.training.optimiser import Recipe
from sara_ros.uptraining.data import DataOptions

SETTINGS_FILE: Final = 'settings.json'
_AT_LEAST: Final = {
    'transfer_steps': 0, 'finetune_steps': 0, 'batch': 2, 'seed': 0, 'lora': 0, 'frames': 0,
    'held_out': 1, 'threads': 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class UptrainConfig:
    """
    One up-training run.

    :param model_id: the softmax model to convert, below ``models_dir``.
    :param backend: attention backend to convert to; ``softmax`` trains the control.
    :param work: folder of the model's own training; this run goes to ``work/uptrain/NAME``.
    :param name: the new model; empty for ``MODEL-BACKEND``.
    :param layers: attention layers to convert; ``None`` for all.
    :param batch: frames a step; at least 2, because half of them are DAgger's.
    :param learning_rate: of the fine-tuning, and of the softmax control's.
    :param transfer_learning_rate: of the attention layers while they are matched to softmax.
    :param lora: rank of the low-rank updates to fine-tune; 0 for all weights.
    :param frames: most frames of each collection to train on; 0 for all.
    :param held_out: simulated frames to measure on.
    :param data: the recording, for a model that was trained on one.
    :param command: what the user typed, for the record.
    """

    model_id: str
    backend: str
    models_dir: Path
    work: Path
    name: str = ''
    options: Mapping[str, Any] = field(default_factory=dict)
    layers: tuple[int, ...] | None = None
    transfer_steps: int = 200
    finetune_steps: int = 600
    batch: int = 32
    learning_rate: float = 3e-4
    transfer_learning_rate: float = 1e-2
    seed: int = 0
    lora: int = 0
    frames: int = 0
    held_out: int = 1000
    data: Path | None = None
    threads: int = 2
    command: str = ''

    def __post_init__(self) -> None:
        """Check the numbers and the name."""
        for name, least in _AT_LEAST.items():
            if getattr(self, name) < least:
                raise ParameterError(f'{name} is {getattr(self, name)}; must be at least {least}')
        for name, rate in (
            ('learning_rate (--lr)', self.learning_rate),
            ('transfer_learning_rate', self.transfer_learning_rate),
        ):
            if not (math.isfinite(rate) and rate > 0):
                raise ParameterError(f'{name} is {rate}; must be above 0')
        converts = self.options or self.layers is not None or not self.finetune_steps
        if self.is_control and converts:
            raise ParameterError(
                "backend is 'softmax', the control, which is only fine-tuned: leave out --option "
                'and --layers, and give --finetune-steps above 0'
            )
        if self.new_id == self.model_id:
            raise ParameterError(
                f"name is '{self.name}', which is the model it comes from; give the new model "
                'another one'
            )

    @property
    def new_id(self) -> str:
        """Name of the new model."""
        return self.name or f'{self.model_id}-{self.backend}'

    @property
    def folder(self) -> Path:
        """Where this run keeps its state and leaves its record."""
        return self.work / 'uptrain' / self.new_id

    @property
    def transfer_recipe(self) -> Recipe:
        """How the new attention layers are trained."""
        # Decay would pull feature maps to zero, away from what they begin with.
        return Recipe(
            max(self.transfer_steps, 1), self.batch, self.transfer_learning_rate,
            warm_up_steps=20, weight_decay=0.0, ema=0.99, seed=self.seed,
        )  # fmt: skip

    @property
    def is_control(self) -> bool:
        """Whether the model keeps softmax and is only fine-tuned."""
        return self.backend == SOFTMAX.backend

    @property
    def finetune_recipe(self) -> Recipe:
        """How the whole network, and the softmax control, are trained."""
        return Recipe(
            max(self.finetune_steps, 1), self.batch, self.learning_rate, warm_up_steps=50,
            ema=0.995, seed=self.seed,
        )  # fmt: skip

    @property
    def data_options(self) -> DataOptions:
        """Which frames to take."""
        return DataOptions(
            self.work, self.models_dir, self.frames, self.held_out, self.threads, self.data
        )

    def control_settings(self, parent_sha256: str) -> dict[str, Any]:
        """Return what the softmax control depends on; runs that agree on it share one."""
        names = ('model_id', 'finetune_steps', 'batch', 'learning_rate', 'seed', 'lora', 'frames')
        return {'parent_sha256': parent_sha256, **{name: getattr(self, name) for name in names}}

    def settings(self, parent_sha256: str) -> dict[str, Any]:
        """Return what must be the same when the run is resumed."""
        return {
            **self.control_settings(parent_sha256),
            'backend': self.backend,
            'options': dict(self.options),
            'layers': None if self.layers is None else list(self.layers),
            'transfer_steps': self.transfer_steps,
            'transfer_learning_rate': self.transfer_learning_rate,
        }

    def control_folder(self, parent_sha256: str) -> Path:
        """Return where the softmax control is, named by the hash of its settings."""
        text = json.dumps(self.control_settings(parent_sha256), sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()[:12]
        return self.work / 'uptrain' / f'softmax-control-{name}'


def claim(folder: Path, settings: Mapping[str, Any]) -> None:
    """
    Make ``folder`` that of a run with ``settings``.

    :raises ParameterError: when it is one of another run, naming the settings that differ.
    """
    stated = json.loads(json.dumps(settings))
    path = folder / SETTINGS_FILE
    if not path.exists():
        write_json(path, stated)
        return
    found = json.loads(path.read_text(encoding='utf-8'))
    other = [name for name in stated if found.get(name) != stated[name]]
    if other:
        said = ', '.join(f'{name} {found.get(name)!r}, not {stated[name]!r}' for name in other)
        raise ParameterError(
            f'{folder} holds a run with {said}; use the same settings to resume it, or another '
            '--name'
        )


def write_json(path: Path, value: Any) -> None:
    """
    Write ``value`` in one step, so that the file is complete or not there.

    :raises DiskError: when it cannot be written.
    """
    with writing(path) as partial:
        partial.write_text(json.dumps(value, indent=1) + '\n', encoding='utf-8')


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until no other process is in this block for ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / '.lock').open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


__all__ = ['UptrainConfig', 'alone', 'claim', 'write_json']
