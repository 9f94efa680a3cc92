"""``sara-ros uptrain``: convert, transfer, fine-tune, and the softmax control beside it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
import copy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from rich.progress import Progress
import torch
from torch import nn

from sara_ros.core import ParameterError
from sara_ros.policies import checkpoint as checkpoints
from sara_ros.policies.attention_layers import LayerChoice, attention_layers, describe_attention
from sara_ros.policies.checkpoint import Checkpoint, StoredCheckpoint
from sara_ros.policies.loading import build_network
from sara_ros.training.loop import seed_everything
from sara_ros.training.optimiser import Recipe
from sara_ros.training.progress import running
from sara_ros.training.record import machine
from sara_ros.uptraining.convert import convert, learned, unconverted
from sara_ros.uptraining.data import TrainingData
from sara_ros.uptraining.distributed import ALONE, Processes
from sara_ros.uptraining.finetune import finetune
from sara_ros.uptraining.measure import HeldOutError
from sara_ros.uptraining.record import RECORD_FILE, read_points, write_curves
from sara_ros.uptraining.report import ConversionReport
from sara_ros.uptraining.settings import UptrainConfig, alone, claim, write_json
from sara_ros.uptraining.transfer import transfer

NO_WEIGHTS = 'skipped: the converted layers have no weights to train'
NO_STEPS = 'skipped: 0 steps'
NO_CONVERSION = 'skipped: nothing is converted'


@dataclass(frozen=True, slots=True)
class UptrainResult:
    """
    What a run leaves.

    :param model: folder of the new model.
    :param folder: folder of the record and the curves.
    :param report: what was converted.
    :param variants: held-out errors of ``softmax``, ``softmax_control``, ``converted``,
        ``transferred`` and ``finetuned``; a phase that was skipped has none. Only process 0
        measures.
    :param transferred: what became of the transfer, in words.
    """

    model: Path
    folder: Path
    report: ConversionReport
    variants: dict[str, HeldOutError]
    transferred: str


def uptrain(
    config: UptrainConfig, progress: Progress | None = None, here: Processes = ALONE
) -> UptrainResult:
    """
    Up-train a model and write the new one below ``config.models_dir``.

    With backend ``softmax`` the new model is the softmax control itself: the parent after the same
    fine-tuning, which other backends are compared with.

    Stopped at any point and started again with the same configuration, it goes on and ends with
    the same weights. Values that cannot be used are found before any frame is collected.

    Processes that :func:`launched` found share each batch and end with the weights of one process,
    up to the order of sums; process 0 alone measures and writes. Errors are measured on the CPU in
    f32, wherever the training was.

    :param here: those processes.
    :raises ParameterError: for those, for resuming with other settings, and a disk that is full.
    :raises CheckpointError: when the model cannot be read.
    """
    with running(progress if here.is_main else None) as bar:
        return _Run(config, bar, here).finish()


class _Run:
    """The steps of one run, each of which skips what is already on disk."""

    def __init__(self, config: UptrainConfig, progress: Progress, here: Processes) -> None:
        torch.set_num_threads(config.threads)
        self.config, self.progress, self.here = config, progress, here
        self.stored = checkpoints.read(config.models_dir, config.model_id)
        checkpoints.model_folder(config.models_dir, config.new_id)
        self.sha256 = str(self.stored.weights['sha256'])
        _check_shares(config.batch, self.stored.checkpoint.training, here)
        self.parent = build_network(self.stored.checkpoint)
        checkpoints.load_into(self.parent, self.stored)
        self.student = copy.deepcopy(self.parent)
        seed_everything(config.seed)
        self.report = (
            unconverted(self.student)
            if config.is_control
            else convert(self.student, config.backend, config.options, config.layers)
        )
        self.settings = config.settings(self.sha256)
        with here.main_first():
            if here.is_main:
                claim(config.folder, self.settings)
            with alone(config.work / 'uptrain'):
                self.data = open_data(self.stored, self.parent, config, progress, here)
        self.parent.to(here.device)
        self.student.to(here.device)
        self.variants: dict[str, HeldOutError] = {}

    def finish(self) -> UptrainResult:
        self._measure('softmax', self.parent)
        transferred = self._extra_steps() if self.config.is_control else self._conversion()
        model = self.config.models_dir / self.config.new_id
        if self.here.is_main:
            model = self._save(transferred)
            self._record(transferred)
        return UptrainResult(model, self.config.folder, self.report, self.variants, transferred)

    def _extra_steps(self) -> str:
        self.student = self._control()
        self._measure('softmax_control', self.student)
        return NO_CONVERSION

    def _conversion(self) -> str:
        self._measure('converted', self.student)
        transferred = self._transfer()
        if self.config.finetune_steps:
            self.student = self._finetune(self.student, self.config.folder / 'finetune')
            self._measure('finetuned', self.student)
            self._measure('softmax_control', self._control())
        return transferred

    def _transfer(self) -> str:
        steps = self.config.transfer_steps
        if not steps:
            return NO_STEPS
        recipe = self.config.transfer_recipe
        done = transfer(
            self.student, self.parent, self.data.encode, recipe, self.config.folder / 'transfer',
            settings=self.data.facts, save_every=_save_every(recipe), progress=self.progress,
            here=self.here,
        )  # fmt: skip
        if done is None:
            return NO_WEIGHTS
        self._measure('transferred', self.student)
        return f'{steps} steps'

    def _finetune(self, network: nn.Module, folder: Path, title: str = 'fine-tune') -> nn.Module:
        recipe = self.config.finetune_recipe
        return finetune(
            network, self.data, recipe, folder, lora_rank=self.config.lora,
            settings=self.data.facts, save_every=_save_every(recipe), progress=self.progress,
            title=title, here=self.here,
        )  # fmt: skip

    def _control(self) -> nn.Module:
        """Train the softmax network as the converted one, or take the one that was."""
        folder = self.config.control_folder(self.sha256)
        # The others would wait for a lock that process 0 holds while it waits for them.
        with alone(folder) if self.here.is_main else nullcontext():
            if self.here.is_main:
                claim(folder, self.config.control_settings(self.sha256))
            return self._finetune(copy.deepcopy(self.parent), folder, 'softmax control')

    def _measure(self, name: str, network: nn.Module) -> None:
        if not self.here.is_main:
            return
        task = self.progress.add_task(f'measure {name}', total=None)
        measured = _linear(network).cpu()
        checkpoints.round_as_stored(measured)
        self.variants[name] = self.data.measure(measured)
        self.progress.update(task, total=1, completed=1)

    def _save(self, transferred: str) -> Path:
        config, parent = self.config, self.stored.checkpoint
        count = len(attention_layers(self.parent))
        layers = range(count) if config.layers is None else config.layers
        choice = LayerChoice(config.backend, config.options)
        checkpoint = Checkpoint(
            spec=replace(
                parent.spec,
                model_id=config.new_id,
                attention=describe_attention(choice, layers, count),
            ),
            model=parent.model,
            parent={'model_id': config.model_id, 'sha256': self.sha256},
            training={
                'command': config.command,
                'uptraining': self.settings,
                'transfer': transferred,
                'conversion': self.report.to_dict(),
                'data': dict(self.data.facts),
                **({'variations': seen} if (seen := parent.training.get('variations')) else {}),
                'processes': self.here.count,
                'device': self.here.device.type,
            },
            metrics={'held_out': self._errors()},
        )
        tensors = self.student.cpu().state_dict()
        # A model that could not be loaded again must not be left behind.
        checkpoints.fill(build_network(checkpoint), tensors, config.new_id)
        return checkpoints.save(config.models_dir, checkpoint, tensors)

    def _errors(self) -> dict[str, Any]:
        return {name: error.to_dict() for name, error in self.variants.items()}

    def _record(self, transferred: str) -> None:
        config = self.config
        control = config.control_folder(self.sha256) if config.finetune_steps else None
        curves = {
            'transfer': read_points(config.folder / 'transfer'),
            'finetune': read_points(config.folder / 'finetune'),
            'softmax_control': read_points(control),
        }
        write_curves(config.folder, curves)
        record = {
            'model_id': config.new_id,
            'parent': {'model_id': config.model_id, 'sha256': self.sha256},
            'command': config.command,
            'settings': self.settings,
            'recipes': {
                'transfer': asdict(config.transfer_recipe),
                'finetune': asdict(config.finetune_recipe),
            },
            'transfer': transferred,
            'control': '' if control is None else control.name,
            'conversion': self.report.to_dict(),
            'data': dict(self.data.facts),
            'held_out': self._errors(),
            'curves': curves,
            'machine': machine(),
        }
        write_json(config.folder / RECORD_FILE, record)


def open_data(
    stored: StoredCheckpoint,
    network: nn.Module,
    config: UptrainConfig,
    progress: Progress,
    here: Processes = ALONE,
) -> TrainingData:
    """
    Return the data that a model states it was trained on.

    :raises ParameterError: when it states none, or the recording it states was not given.
    """
    training = stored.checkpoint.training
    if 'recording' in training:
        from sara_ros.uptraining.recorded_data import RecordedData

        return RecordedData(stored, cast('Any', network), config.data_options, here)
    if 'expert_frames' in training:
        from sara_ros.uptraining.tabletop_data import TabletopData

        return TabletopData(stored, cast('Any', network), config.data_options, progress, here)
    raise ParameterError(
        f"model '{config.model_id}' does not state what it was trained on (training.expert_frames "
        'or training.recording in policy.json); up-train one that `sara-ros train` made'
    )


def _check_shares(batch: int, training: Mapping[str, Any], here: Processes) -> None:
    """Refuse a batch whose frames, or whose halves, the processes cannot share."""
    halves = 2 if training.get('dagger_rounds') else 1
    if here.count > 1 and batch % (halves * here.count):
        what = 'each half of it, expert and DAgger frames' if halves == 2 else 'it'
        raise ParameterError(
            f'batch is {batch}; it must be a multiple of {halves * here.count}, because '
            f'{here.count} processes share {what}'
        )


def _linear(network: nn.Module) -> nn.Module:
    """Return a copy whose ``auto`` layers are linear: as softmax they cost nothing in quality."""
    copied = copy.deepcopy(network)
    for layer in attention_layers(copied).values():
        layer.attention = learned(layer.attention)
    return copied


def _save_every(recipe: Recipe) -> int:
    return min(100, max(1, recipe.steps // 20))


__all__ = ['UptrainConfig', 'UptrainResult', 'open_data', 'uptrain']
