"""Collects a DAgger round: a model drives, the scripted expert labels."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from sara_ros.cli.collect import write_record
from sara_ros.cli.train import progress_bar
from sara_ros.core import ParameterError
from sara_ros.policies import checkpoint as checkpoints
from sara_ros.policies.checkpoint import Checkpoint
from sara_ros.policies.pct_config import PCTConfig
from sara_ros.policies.rt2_config import RT2Config
from sara_ros.sim.policy_sensors import check_fit
from sara_ros.training.dagger import DaggerConfig, collect_dagger
from sara_ros.training.tabletop import capture_of, learner_of
from sara_ros.training.varied import variations_of


def run_dagger(options: Namespace, models_dir: Path) -> Path:
    """
    Collect what is missing of the round and return the folder; ``record.json`` says how.

    :raises CheckpointError: when the model cannot be read.
    :raises ParameterError: for a model that does not fit the tabletop, a folder of other frames,
        and a disk that is full.
    """
    checkpoint = checkpoints.read(models_dir, options.model).checkpoint
    config = DaggerConfig(
        options.out or Path('out/train') / options.model / f'dagger-{options.seed}',
        models_dir,
        options.model,
        options.frames,
        capture_of(learner_of(_network(checkpoint))),
        options.workers,
        options.shard,
        options.seed,
        variations=variations_of(checkpoint.training),
    )
    frames = collect_dagger(config, progress_bar())
    write_record(config.folder, options.typed, frames, config.seeds, config.settings)
    return config.folder


def _network(checkpoint: Checkpoint) -> RT2Config | PCTConfig:
    check_fit(checkpoint.spec)
    if checkpoint.spec.kind == 'rt2':
        return RT2Config.from_dict(checkpoint.model)
    if checkpoint.spec.kind == 'pct':
        return PCTConfig.from_dict(checkpoint.model)
    raise ParameterError(
        f"model '{checkpoint.spec.model_id}' is of kind '{checkpoint.spec.kind}'; only rt2 and "
        'pct learn'
    )
