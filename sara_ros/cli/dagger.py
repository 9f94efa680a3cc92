"""Collects a DAgger round: a model drives, the scripted expert labels."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from sara_ros.cli.collect import write_record
from sara_ros.cli.train import progress_bar
from sara_ros.core import ParameterError
from sara_ros.policies import checkpoint as checkpoints
from sara_ros.policies.pct_config import PCTConfig
from sara_ros.policies.rt2_config import RT2Config
from sara_ros.sim.policy_sensors import check_fit
from sara_ros.training.dagger import DaggerConfig, collect_dagger
from sara_ros.training.tabletop import capture_of, learner_of


def run_dagger(options: Namespace, models_dir: Path) -> Path:
    """
    Collect what is missing of the round and return the folder; ``record.json`` says how.

    :raises CheckpointError: when the model cannot be read.
    :raises ParameterError: for a model that does not fit the tabletop, a folder of other frames,
        and a disk that is full.
    """
    config = DaggerConfig(
        options.out or Path('out/train') / options.model / f'dagger-{options.seed}',
        models_dir,
        options.model,
        options.frames,
        capture_of(learner_of(_network(models_dir, options.model))),
        options.workers,
        options.shard,
        options.seed,
    )
    frames = collect_dagger(config, progress_bar())
    write_record(config.folder, options.typed, frames, config.seeds, config.settings)
    return config.folder


def _network(models_dir: Path, model_id: str) -> RT2Config | PCTConfig:
    checkpoint = checkpoints.read(models_dir, model_id).checkpoint
    check_fit(checkpoint.spec)
    if checkpoint.spec.kind == 'rt2':
        return RT2Config.from_dict(checkpoint.model)
    if checkpoint.spec.kind == 'pct':
        return PCTConfig.from_dict(checkpoint.model)
    raise ParameterError(
        f"model '{model_id}' is of kind '{checkpoint.spec.kind}'; only rt2 and pct learn"
    )
