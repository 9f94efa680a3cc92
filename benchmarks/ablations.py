"""Train models that differ by one choice, play them on the same episodes, write the page."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
import gc
import json
from pathlib import Path
import shutil
import sys
from typing import Any, Final

from sara_ros.cli.train import progress_bar
from sara_ros.core import ParameterError, SaraError
from sara_ros.core.allocator import keep_freed_memory
from sara_ros.core.resources import package_folder
from sara_ros.evaluation.act_time import act_times_ms
from sara_ros.evaluation.attention_speed.table import markdown_table
from sara_ros.evaluation.closed_loop import (
    FIRST_SEED,
    EvaluationConfig,
    describe_row,
    measure,
)
from sara_ros.evaluation.closed_loop_episode import Outcome
from sara_ros.evaluation.files import write_json, write_text
from sara_ros.evaluation.intervals import paired_difference
from sara_ros.evaluation.machine import describe_machine
from sara_ros.evaluation.piece_store import PieceStore
from sara_ros.evaluation.success_models import variant_of
from sara_ros.evaluation.success_page import percent, points
from sara_ros.policies import checkpoint as checkpoints
from sara_ros.policies.loading import build_network
from sara_ros.policies.rt2_config import RT2Config
from sara_ros.sim.suites import STANDARD_SUITE, SUITES, Suite
from sara_ros.training.optimiser import Recipe
from sara_ros.training.recipes import RECIPES, recipe_config
from sara_ros.training.tabletop import (
    LEARNERS,
    DaggerRound,
    TabletopConfig,
    learner_name,
    train_tabletop,
)
from sara_ros.uptraining.pipeline import uptrain
from sara_ros.uptraining.settings import UptrainConfig

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = 'ablations'
COMMAND: Final = f'benchmarks/{PAGE}.py'
ROUNDS: Final = 32
"""Episodes of each of the sixteen tasks."""

_INTRODUCTION: Final = f"""# Ablations

One run an arm: a difference between two arms holds for these weights, and another seed of the training may move it.
Weights named `-standard` are those before the training in varied scenes; `sara-ros train` makes them.
Nothing was chosen by these results: each recipe ships its last step.
All arms play held-out episodes, the same ones or the first of them, of the standard suite where no other is named; the difference is to the first arm, in points, on the episodes that both played, with Newcombe's 95 % interval.
Made by `.venv/bin/python benchmarks/{PAGE}.py`; source: [`{PAGE}.json`]({PAGE}.json)."""  # noqa: E501


@dataclass(frozen=True, slots=True)
class Places:
    """
    Where things are, and how much is done.

    :param shipped: models that arms begin from.
    :param models: models of all arms.
    :param work: frames and training states, a folder a model.
    :param store: played episodes.
    :param held_out: simulated frames that up-training measures on.
    """

    shipped: Path
    models: Path
    work: Path
    store: PieceStore
    threads: int
    workers: int
    rounds: int
    held_out: int

    def bring(self, model_id: str) -> None:
        """
        Copy a shipped model, or a learner of a training, to those of the arms.

        :raises ParameterError: when there is none.
        """
        if (self.models / model_id).exists():
            return
        for found in (self.shipped / model_id, *self.work.glob(f'*/{LEARNERS}/{model_id}')):
            if found.exists():
                shutil.copytree(found, self.models / model_id)
                return
        raise ParameterError(
            f"no model '{model_id}' in {self.shipped} or among the learners below {self.work}; "
            'train it first'
        )


@dataclass(frozen=True, slots=True)
class Arm:
    """
    A model of a study: its label, its name, and what makes it.

    :param rounds: most episodes of each task, where those of the others would take hours.
    """

    label: str
    model_id: str
    make: Callable[[Places], None]
    rounds: int = ROUNDS


@dataclass(frozen=True, slots=True)
class Study:
    """
    Arms that differ by one choice; the first is what the others are compared with.

    :param sequence: what the column of the sequence length counts.
    :param suite: what the arms play.
    """

    title: str
    method: str
    sequence: str
    arms: tuple[Arm, ...]
    suite: Suite = STANDARD_SUITE


def uptrained(policy: str, label: str, backend: str, name: str = '', **settings: Any) -> Arm:
    """Return an arm that converts ``policy``; ``name`` where the settings are not the usual."""
    new_id = '-'.join(filter(None, (policy, backend, name)))

    def make(places: Places) -> None:
        places.bring(policy)
        config = UptrainConfig(
            policy, backend, places.models, places.work / policy, name=new_id,
            threads=places.threads, command=COMMAND,
            **{'held_out': places.held_out, **settings},
        )  # fmt: skip
        with progress_bar() as bar:
            uptrain(config, bar)

    return Arm(label, new_id, make)


def trained(label: str, model: str, changes: Mapping[str, Any], rounds: int = ROUNDS) -> Arm:
    """Return an arm that trains the recipe of ``model`` with ``changes``."""
    name = f'{model}-short'

    def make(places: Places) -> None:
        config = recipe_config(
            model, model_id=name, models_dir=places.models, work=places.work / name,
            command=COMMAND,
        )  # fmt: skip
        assert isinstance(config, TabletopConfig)
        config = replace(config, threads=places.threads, **changes)
        if config.warm_start in RECIPES:  # else another arm makes it
            places.bring(config.warm_start)
        with progress_bar() as bar:
            train_tabletop(config, bar)

    return Arm(label, name, make, rounds)


def made(label: str, model_id: str) -> Arm:
    """Return an arm that plays a model which is there already."""
    return Arm(label, model_id, lambda places: places.bring(model_id), rounds=12)


def decoded(label: str, policy: str, decode: str) -> Arm:
    """Return an arm that plays the shipped ``policy`` with another decoding of its tokens."""
    name = f'{policy}-{decode}'

    def make(places: Places) -> None:
        places.bring(policy)
        stored = checkpoints.read(places.models, policy)
        network = build_network(stored.checkpoint)
        checkpoints.load_into(network, stored)
        changed = replace(
            stored.checkpoint,
            spec=replace(stored.checkpoint.spec, model_id=name),
            model={**stored.checkpoint.model, 'decode': decode},
        )
        checkpoints.save(places.models, changed, network.state_dict())

    return Arm(label, name, make)


def steps(policy: str, *learners: int) -> Study:
    """
    Return the study of where the recipe of a policy stops improving.

    :param learners: steps of DAgger rounds whose learners are played.
    """
    return Study(
        f'Steps of the recipe `{policy}`',
        'The harder suite, by a model that begins with the weights of the standard scenes: as its '
        'DAgger rounds found it, at the end, and with the 600 steps more of the control.',
        'tokens' if policy.startswith('rt2') else 'points',
        (
            made('0 steps', f'{policy}-standard'),
            *(made(f'{step} steps', learner_name(policy, step)) for step in learners),
            made('4000 steps', policy),
            made('4600 steps', f'{policy}-softmax'),
        ),
        SUITES['harder'],
    )


def phases(policy: str) -> Study:
    """Return the study of what conversion, transfer and fine-tuning each give."""
    return Study(
        f'Phases of up-training: `{policy}` to `sara`',
        f'From the weights of `{policy}`. Transfer takes 200 steps, fine-tuning 600; the control '
        'is softmax with 600 steps more.',
        'tokens' if policy.startswith('rt2') else 'points',
        (
            uptrained(policy, 'softmax control', 'softmax'),
            uptrained(policy, 'convert only', 'sara', 'converted', **NO_TRANSFER, **NO_TUNING),
            uptrained(policy, 'transfer', 'sara', 'transferred', **NO_TUNING),
            uptrained(policy, 'fine-tune', 'sara', 'finetuned', **NO_TRANSFER),
            uptrained(policy, 'transfer, then fine-tune', 'sara'),
        ),
    )


NO_TRANSFER: Final[Mapping[str, Any]] = {'transfer_steps': 0}
NO_TUNING: Final[Mapping[str, Any]] = {'finetune_steps': 0}
SMALL_BATCH: Final[Mapping[str, Any]] = {'batch': 16, 'finetune_steps': 300}
FROM_NOTHING: Final[Mapping[str, Any]] = {
    'recipe': Recipe(steps=2000),
    'rounds': (DaggerRound(700, 3000), DaggerRound(1300, 3000)),
    'frames': 12_000,
    'exact_steps': 0,
}
FROM_SHIPPED: Final[Mapping[str, Any]] = {
    'recipe': Recipe(steps=200, batch=16, learning_rate=3e-4, warm_up_steps=50, ema=0.99),
    'rounds': (),
    'frames': 4000,
    'warm_start': 'pct-tabletop',
}
FROM_2048: Final[Mapping[str, Any]] = {
    'recipe': Recipe(steps=50, batch=4, learning_rate=1e-4, warm_up_steps=10, ema=0.9),
    'rounds': (),
    'frames': 1000,
    'warm_start': 'pct-tabletop-2048-short',
}
"""Softmax over 4096 points takes three seconds a cloud to train, and half of one to act."""
STUDIES: Final[Mapping[str, Study]] = {
    'phases-rt2': phases('rt2-tabletop'),
    'phases-pct': phases('pct-tabletop'),
    'steps-rt2': steps('rt2-tabletop', 2000),
    'steps-pct': steps('pct-tabletop', 1000, 2000),
    'decoding': Study(
        'Decoding of the action tokens',
        'The same weights: a dimension is the mean of the 256 bin centres, weighted by their '
        'probabilities, as shipped, or the centre of the likeliest bin.',
        'tokens',
        (
            decoded('mean', 'rt2-tabletop', 'expectation'),
            decoded('likeliest bin', 'rt2-tabletop', 'argmax'),
        ),
    ),
    'tokens': Study(
        'RT-2 with 784 tokens',
        '200 steps of transfer and 300 of fine-tuning, 16 frames each; as many for the control.',
        'tokens',
        tuple(
            uptrained('rt2-tabletop-784', label, backend, **SMALL_BATCH)
            for label, backend in (
                ('softmax control', 'softmax'),
                ('`sara`', 'sara'),
                ('`taylor`', 'taylor'),
            )
        ),
    ),
    'points': Study(
        'Points of the PCT variant',
        'From the weights of `pct-tabletop`, 200 steps of 16 clouds with that many points in '
        'softmax. 4096 points cost too much for that: they go on from the model of 2048 for 50 '
        'steps of 4, and play few episodes. `sara` from there, with 100 steps of transfer and '
        '100 of fine-tuning (4096 points: 50 and 100, of 8 clouds).',
        'points',
        tuple(
            arm
            for count, changes, rounds, settings in (
                (800, FROM_SHIPPED, ROUNDS, {'batch': 16, 'transfer_steps': 100}),
                (2048, FROM_SHIPPED, ROUNDS, {'batch': 16, 'transfer_steps': 100}),
                (4096, FROM_2048, 2, {'batch': 8, 'transfer_steps': 50, 'held_out': 100}),
            )
            for arm in (
                trained('softmax', f'pct-tabletop-{count}', changes, rounds),
                uptrained(
                    f'pct-tabletop-{count}-short',
                    '`sara`',
                    'sara',
                    finetune_steps=100,
                    **settings,
                ),
            )
        ),
    ),
    'history': Study(
        'Frames of history',
        'From nothing: 2000 steps and two DAgger rounds, a sixth of the recipe. Three frames '
        'need every state of a scene: as many frames show fewer scenes.',
        'tokens',
        (
            trained('1 frame', 'rt2-tabletop-standard', FROM_NOTHING),
            trained('3 frames, 0.15 s apart', 'rt2-tabletop-history', FROM_NOTHING),
        ),
    ),
    'coding': Study(
        'Coding of the action',
        'From nothing: 2000 steps and two DAgger rounds, a sixth of the recipe.',
        'tokens',
        (
            trained('8 tokens of 256 bins', 'rt2-tabletop-standard', FROM_NOTHING),
            trained('numbers as text (vector)', 'rt2-tabletop-vector', FROM_NOTHING),
        ),
    ),
}


def run(name: str, places: Places) -> dict[str, Any]:
    """Make the arms of a study that are missing, play them, and return the study's record."""
    study, rows = STUDIES[name], []
    first: dict[tuple[int, int], bool] = {}
    for arm in study.arms:
        print(f'{name}: {arm.label}')
        arm.make(places)
        gc.collect()  # a run refers to itself, and to gigabytes of frames
        row, successes = play(arm, study.suite, places)
        if first:
            shared = sorted(first.keys() & successes.keys())
            difference, ends = paired_difference(
                [successes[key] for key in shared], [first[key] for key in shared]
            )
            row['against_first'] = {
                'difference': round(difference, 4), 'ci95': [round(end, 4) for end in ends]
            }  # fmt: skip
        first = first or successes
        rows.append(row)
    times = act_times_ms(places.models, [arm.model_id for arm in study.arms])
    for row, arm in zip(rows, study.arms, strict=True):
        row['act_ms'] = times[arm.model_id]
    machine = describe_machine()
    return {'name': name, 'method': study.method, 'rows': rows, 'machine': machine}


def play(
    arm: Arm, suite: Suite, places: Places
) -> tuple[dict[str, Any], dict[tuple[int, int], bool]]:
    """Return the row of an arm, and its success by slot and seed."""
    variant = variant_of(places.models, arm.model_id)
    config = EvaluationConfig(
        places.models, arm.model_id, suite=suite,
        episodes=min(places.rounds, arm.rounds), first_seed=FIRST_SEED, identity=variant.identity,
    )  # fmt: skip
    outcomes: list[Outcome] = []
    for _, some in measure([config], places.workers, places.store):
        outcomes += some
    row = describe_row(config, outcomes)
    del row['per_task']  # the verbs say enough about an arm
    row.update(
        label=arm.label, sha256=variant.sha256,
        sequence=sequence_of(places.models, arm.model_id),
    )  # fmt: skip
    return row, {(each.slot, each.seed): each.success for each in outcomes}


def sequence_of(models: Path, model_id: str) -> int:
    """Return how many tokens or points the attention layers of a model see."""
    model = checkpoints.read(models, model_id).checkpoint.model
    if 'points' in model:
        return int(model['points'])
    config = RT2Config.from_dict(model)
    return config.history * config.image_tokens


def page(records: Sequence[Mapping[str, Any]]) -> str:
    """Return the Markdown page of the records."""
    return '\n\n'.join([_INTRODUCTION, *_sections(records)]) + '\n'


def _sections(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for record in sorted(records, key=lambda each: list(STUDIES).index(each['name'])):
        study = STUDIES[record['name']]
        yield f'## {study.title}'
        yield record['method']
        verbs = list(record['rows'][0]['per_verb'])
        heads = ['', study.sequence, 'episodes', 'success, %', 'difference', *verbs, 'act, p50 ms']
        yield markdown_table(heads, [_line(row, verbs) for row in record['rows']])


def _line(row: Mapping[str, Any], verbs: Sequence[str]) -> list[str]:
    low, high = row['ci95']
    gap, against = '-', row.get('against_first')
    if against:
        ends = [points(end) for end in against['ci95']]
        gap = f'{points(against["difference"])} ({ends[0]} to {ends[1]})'
    return [
        row['label'], str(row['sequence']), str(row['episodes']),
        f'{percent(row["success"])} ({percent(low)} to {percent(high)})', gap,
        *(percent(row['per_verb'][verb]['success']) for verb in verbs),
        f'{row["act_ms"]["p50"]:.1f}',
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the studies that are asked for and write the page, which keeps the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--studies', nargs='+', choices=STUDIES, default=list(STUDIES))
    parser.add_argument('--rounds', type=int, default=ROUNDS, help='episodes of each task')
    parser.add_argument('--held-out', type=int, default=1000, help='frames to measure on')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--workers', type=int, default=1)
    parser.add_argument('--models-dir', type=Path, default=package_folder('models'))
    parser.add_argument('--work', type=Path, default=Path('out/train'))
    parser.add_argument('--out', type=Path, default=Path('out/ablations'))
    parser.add_argument('--docs', type=Path, default=ROOT / 'docs')
    options = parser.parse_args(arguments)
    keep_freed_memory()  # as in serving, whose times are told
    source = options.docs / f'{PAGE}.json'
    places = Places(
        options.models_dir, options.out / 'models', options.work,
        PieceStore(options.out / 'episodes'), options.threads, options.workers, options.rounds,
        options.held_out,
    )  # fmt: skip
    records: dict[str, Any] = {}
    if source.exists():
        records = {each['name']: each for each in json.loads(source.read_text())['studies']}
    try:
        for name in options.studies:
            records[name] = run(name, places)
            studies = list(records.values())
            write_json(source, {'schema': 'sara_ros.ablations/1', 'studies': studies})
            write_text(options.docs / f'{PAGE}.md', page(studies))
    except SaraError as err:
        print(err, file=sys.stderr)
        return 2
    print(options.docs / f'{PAGE}.md')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
