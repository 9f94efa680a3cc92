"""``train`` for the tabletop: collect, clone, DAgger rounds, and a checkpoint in ``models``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.progress import Progress
import torch

from sara_ros.core import ParameterError, PolicySpec
from sara_ros.policies import checkpoint as checkpoints
from sara_ros.policies.checkpoint import Checkpoint
from sara_ros.policies.pct_config import PCTConfig
from sara_ros.policies.rt2_config import RT2Config
from sara_ros.policies.words import Vocabulary
from sara_ros.sim.action_space import tabletop_action
from sara_ros.training.capture import Capture, require_fit
from sara_ros.training.collect import CollectConfig, collect
from sara_ros.training.counts import check_counts
from sara_ros.training.dagger import DaggerConfig, collect_dagger
from sara_ros.training.frames import Frames, has_frames, load_frames
from sara_ros.training.loop import Losses, run_loop, seed_everything
from sara_ros.training.optimiser import Optimiser, Recipe
from sara_ros.training.pct_tabletop import PCTLearner, pct_config
from sara_ros.training.record import finish_record
from sara_ros.training.rt2_tabletop import (
    RT2Learner,
    horizon_of,
    sample_tasks,
    tabletop_config,
)
from sara_ros.training.sentences import INSTRUCTED, Sentences
from sara_ros.training.tabletop_spec import image_observations, point_observations
from sara_ros.training.varied import training_instructions, training_sentences
from sara_ros.training.warm_start import warm_start

LEARNERS: Final = 'learners'
"""Folder of the models that DAgger rounds began with."""


def learner_name(model_id: str, at_step: int) -> str:
    """Return the name of the learner of a DAgger round."""
    return f'{model_id}-step-{at_step}'


@dataclass(frozen=True, slots=True)
class DaggerRound:
    """
    Collect ``frames`` with the learner when training reaches ``at_step``.

    :param verbs: tasks it tries; all when empty.
    """

    at_step: int
    frames: int
    verbs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the counts."""
        check_counts(self, 'at_step', 'frames')


@dataclass(frozen=True, slots=True)
class TabletopConfig:
    """
    One training run.

    :param model_id: name of the folder below ``models_dir`` to write.
    :param kind: ``rt2`` or ``pct``.
    :param work: folder of frames, training state and curves; give it again to resume.
    :param frames: expert frames to collect into ``work/frames``.
    :param instructions: instructions asked about each image.
    :param shard: frames a process collects before it writes them.
    :param threads: threads of torch; more than there are idle cores make it slower, not faster.
    :param network: the architecture; ``None`` for the one of the shipped model of this kind. Its
        vocabulary becomes that of what is trained on.
    :param warm_start: model below ``models_dir`` whose weights training begins with; empty for
        random ones.
    :param variations: names in ``sim.variations.VARIATIONS`` that scenes may have.
    :param exact_steps: steps in which RT-2 reads the expert's own tokens; scattered ones later.
    :param command: what the user typed, for the record.
    """

    model_id: str
    kind: str
    models_dir: Path
    work: Path
    frames: int = 24_000
    recipe: Recipe = field(default_factory=lambda: Recipe(steps=5000))
    rounds: tuple[DaggerRound, ...] = (DaggerRound(1500, 6000), DaggerRound(3000, 6000))
    instructions: int = 4
    processes: int = 2
    shard: int = 500
    threads: int = 1
    attention: str = 'softmax'
    decode: str = 'argmax'
    save_every: int = 250
    network: RT2Config | PCTConfig | None = None
    warm_start: str = ''
    variations: tuple[str, ...] = ()
    exact_steps: int = 0
    command: str = ''

    def __post_init__(self) -> None:
        """Check the counts, and that each collection has seeds, before anything is written."""
        check_counts(self, 'instructions', 'threads', 'save_every')
        self.collection(Capture())
        for index in range(len(self.rounds)):
            self.visits(index, Capture())

    def collection(self, wanted: Capture) -> CollectConfig:
        """
        Return which frames of the expert are trained on.

        :raises ParameterError: for counts and a seed that cannot be used, unknown variations too.
        """
        return CollectConfig(
            self.work / 'frames', self.frames, self.processes, self.shard, self.recipe.seed,
            wanted, variations=self.variations,
        )  # fmt: skip

    def visits(self, index: int, wanted: Capture) -> DaggerConfig:
        """
        Return which frames of DAgger round ``index`` are trained on.

        :raises ParameterError: as :meth:`collection` does.
        """
        stop = self.rounds[index]
        return DaggerConfig(
            self.work / f'dagger-{index}', self.work / LEARNERS,
            learner_name(self.model_id, stop.at_step), stop.frames, wanted, self.processes,
            self.shard, seed=self.recipe.seed * 10 + index, verbs=stop.verbs,
            variations=self.variations,
        )  # fmt: skip

    @property
    def architecture(self) -> RT2Config | PCTConfig:
        """The architecture that is trained."""
        network = self.network
        if network is None:
            network = tabletop_config(self.decode) if self.kind == 'rt2' else pct_config()
        words = Vocabulary.of(training_instructions(self.variations)).words
        return replace(network, vocabulary=words)


def train_tabletop(config: TabletopConfig, progress: Progress | None = None) -> Path:
    """
    Train as ``config`` says and return the model folder.

    Stopped at any point and started again with the same configuration, it goes on.

    :raises ParameterError: for an unknown kind or variation, or a ``work`` folder of another run.
    """
    run = _Run(config, progress)
    for round_index, stop in enumerate((*config.rounds, None)):
        optimiser = run.clone(until=stop.at_step if stop else None)
        if stop is not None:
            run.dagger(round_index, optimiser)
    folder = run.save(optimiser, config.models_dir, config.model_id)
    finish_record(config.work, checkpoints.read(config.models_dir, folder.name), run.data)
    return folder


class _Run:
    """The steps of one training run, each of which skips what is already on disk."""

    def __init__(self, config: TabletopConfig, progress: Progress | None) -> None:
        if config.kind not in ('rt2', 'pct'):
            raise ParameterError(f"kind is '{config.kind}'; known: rt2, pct")
        if isinstance(config.architecture, RT2Config) != (config.kind == 'rt2'):
            found = type(config.architecture).__name__
            raise ParameterError(f"kind is '{config.kind}', but network is a {found}")
        self.config = config
        self._progress = progress
        torch.set_num_threads(config.threads)
        seed_everything(config.recipe.seed)
        self.learner = learner_of(
            config.architecture, config.attention, training_sentences(config.variations)
        )
        self._parent: Mapping[str, Any] = {}
        if config.warm_start:
            begun = warm_start(self.learner.network, config.models_dir, config.warm_start)
            self._parent = begun.parent
        self._capture = capture_of(self.learner)
        wanted = config.collection(self._capture)
        collect(wanted, progress)
        self._expert = load_frames(wanted.folder)
        require_fit(self._expert, self._capture, wanted.folder)
        self._visited: Frames | None = None
        state = torch.from_numpy(self._expert['state'])
        self.learner.network.state_mean.copy_(state.mean(dim=0))
        # The arm never leaves some of these values; noise in them must not be blown up.
        self.learner.network.state_std.copy_(state.std(dim=0).clamp_min(0.02))

    def clone(self, until: int | None) -> Optimiser:
        """Train until a step, or to the end."""
        exact = min(self.config.exact_steps, until or self.config.recipe.steps)
        if exact and isinstance(self.learner, RT2Learner):
            self.learner.exact = True
            self._train(exact)
            self.learner.exact = False
        return self._train(until)

    def _train(self, until: int | None) -> Optimiser:
        settings: dict[str, Any] = {
            'kind': self.config.kind,
            'attention': self.config.attention,
            'rounds': [asdict(item) for item in self.config.rounds],
            'frames': self.config.frames,
            'instructions': self.config.instructions,
            'variations': list(self.config.variations),
        }
        if self.config.network is not None:
            settings['network'] = self.config.network.to_dict()
        if self.config.exact_steps:
            settings['exact_steps'] = self.config.exact_steps
        if self._parent:
            settings['warm_start'] = dict(self._parent)
        return run_loop(
            self.learner,
            self._losses,
            self.config.recipe,
            self.config.work,
            settings=settings,
            until=until,
            save_every=self.config.save_every,
            progress=self._progress,
        )

    @property
    def data(self) -> dict[str, Any]:
        """What is trained on: frames and the first and last seed of each collection."""
        config, wanted = self.config, self._capture
        parts: list[CollectConfig | DaggerConfig] = [config.collection(wanted)]
        parts += [config.visits(index, wanted) for index in range(len(config.rounds))]
        return {
            part.folder.name: {'frames': part.frames, 'seeds': list(part.seeds)} for part in parts
        }

    def dagger(self, index: int, optimiser: Optimiser) -> None:
        """Collect a round with the learner as it is, and add it to what is trained on."""
        wanted = self.config.visits(index, self._capture)
        # The learner of a round that is complete is gone: training has gone on since.
        if not has_frames(wanted.folder, wanted.frames, wanted.shard):
            self.save(optimiser, wanted.models_dir, wanted.model_id)
            collect_dagger(wanted, self._progress)
        rounds = [load_frames(self.config.work / f'dagger-{i}') for i in range(index + 1)]
        require_fit(rounds[-1], self._capture, wanted.folder)
        self._visited = {
            name: np.concatenate([part[name] for part in rounds]) for name in rounds[0]
        }

    def save(self, optimiser: Optimiser, models_dir: Path, model_id: str) -> Path:
        """Write the averaged weights as a checkpoint."""
        prefix = 'network.'
        tensors = {
            name[len(prefix) :]: value
            for name, value in optimiser.average.items()
            if name.startswith(prefix)
        }
        checkpoint = Checkpoint(
            spec=replace(spec_of(self.config), model_id=model_id),
            parent=self._parent,
            model=self.learner.network.config.to_dict(),
            training=_training(self.config, optimiser),
        )
        return checkpoints.save(models_dir, checkpoint, tensors)

    def _losses(self, rng: np.random.Generator, batch: int) -> Losses:
        shown = TabletopFrames(self._expert, self._visited, self.config.instructions)
        return shown.losses(self.learner, rng, batch)


@dataclass(frozen=True, slots=True)
class TabletopFrames:
    """
    What is trained on.

    :param expert: frames of expert runs.
    :param visited: frames of DAgger, once there are any.
    :param instructions: instructions asked about each image.
    """

    expert: Frames
    visited: Frames | None
    instructions: int

    def losses(self, learner: Any, rng: np.random.Generator, batch: int) -> Losses:
        """Draw a batch; half of it comes from DAgger once there is any."""
        if self.visited is None:
            return self._on(self.expert, learner, rng, batch)
        first = self._on(self.expert, learner, rng, batch // 2)
        second = self._on(self.visited, learner, rng, batch - batch // 2)
        return {name: (first[name] + second[name]) / 2 for name in first}

    def _on(self, frames: Frames, learner: Any, rng: np.random.Generator, batch: int) -> Losses:
        rows = rng.integers(0, len(frames['task']), batch)
        tasks = sample_tasks(frames['task'][rows], rng, self.instructions)
        losses: Losses = learner.losses(frames, rows, tasks, rng)
        return losses


def learner_of(
    network: RT2Config | PCTConfig, attention: str = 'softmax', sentences: Sentences = INSTRUCTED
) -> RT2Learner | PCTLearner:
    """Return a learner with random weights."""
    if isinstance(network, PCTConfig):
        return PCTLearner(network, attention, sentences)
    return RT2Learner(network, attention, sentences)


def capture_of(learner: RT2Learner | PCTLearner) -> Capture:
    """Return which sensors a learner needs, and whether all states of an episode."""
    network, dense = learner.network.config, learner.window.dense
    if isinstance(network, PCTConfig):
        return Capture(images=False, points=network, dense=dense)
    return Capture(images=True, views=network.views, dense=dense)


def spec_of(config: TabletopConfig) -> PolicySpec:
    """Return what the model of a run needs and returns."""
    network, action, history = config.architecture, tabletop_action(), 1
    if isinstance(network, RT2Config):
        action, history = replace(action, horizon=horizon_of(network)), network.history
    return PolicySpec(
        model_id=config.model_id,
        kind=config.kind,
        observations=image_observations() if config.kind == 'rt2' else point_observations(),
        action=action,
        attention={'backend': config.attention, 'options': {}},
        history=history,
        instructions=training_instructions(config.variations),
    )


def _training(config: TabletopConfig, optimiser: Optimiser) -> dict[str, Any]:
    recipe = asdict(config.recipe)
    return {
        'command': config.command,
        'steps': optimiser.step,
        'recipe': {**recipe, 'betas': list(recipe['betas'])},
        'expert_frames': config.frames,
        'dagger_rounds': [asdict(item) for item in config.rounds],
        'instructions_per_image': config.instructions,
        **({'variations': list(config.variations)} if config.variations else {}),
        **({'exact_steps': config.exact_steps} if config.exact_steps else {}),
    }
