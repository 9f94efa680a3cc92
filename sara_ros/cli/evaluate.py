"""Measures the closed-loop success of one model, or of all of them as a table."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from sara_ros.cli.train import progress_bar, without_places
from sara_ros.core import ParameterError
from sara_ros.core.allocator import keep_freed_memory
from sara_ros.core.policy import SCRIPTED_EXPERT
from sara_ros.evaluation.act_time import act_times_ms
from sara_ros.evaluation.closed_loop import CHOICE_SEEDS, FIRST_SEED, EvaluationConfig, evaluate
from sara_ros.evaluation.files import write_bytes, write_json, write_text
from sara_ros.evaluation.machine import describe_machine
from sara_ros.evaluation.piece_store import PieceStore
from sara_ros.evaluation.success import SuccessPlan, measure_success, rounds_for
from sara_ros.evaluation.success_join import joined, read_table
from sara_ros.evaluation.success_models import Variant, find_variants, variant_of
from sara_ros.evaluation.success_page import success_page
from sara_ros.evaluation.success_plot import success_png
from sara_ros.policies.checkpoint import add_metrics
from sara_ros.sim.suites import suite_named
from sara_ros.training.disk import writing

TABLE_SUITES: Final = ('standard', 'harder')
PIECES: Final = 'episodes'


def run_evaluate(options: Namespace, models_dir: Path, command: str) -> None:
    """
    Do what the command line says.

    :raises ParameterError: for options that do not go together.
    """
    if options.model and options.all:
        raise ParameterError(
            f"--all plays every model, and '{options.model}' names one; give one of the two, and "
            '--suite once for each suite'
        )
    if not (options.model or options.all):
        raise ParameterError('name a model, or give --all for every model of the folder')
    keep_freed_memory()
    if options.all:
        evaluate_all(options, models_dir, command)
    else:
        evaluate_model(options, models_dir, command)


def evaluate_model(options: Namespace, models_dir: Path, command: str) -> dict[str, Any]:
    """
    Play one model, print its counts, and write them as JSON, and into the model where asked.

    :raises SaraError: for options that do not go together, a model that the tabletop cannot play,
        and a disk that is full.
    """
    if len(options.suite) > 1:
        raise ParameterError('one model is played in one suite at a time; --all takes several')
    if options.choose and options.record:
        raise ParameterError('--record is for results; those of --choose are not reported')
    suite = suite_named((options.suite or TABLE_SUITES)[0])
    expert = options.model == SCRIPTED_EXPERT
    config = EvaluationConfig(
        models_dir, options.model, options.backend, suite,
        episodes=rounds_for(suite, options.episodes),
        first_seed=CHOICE_SEEDS if options.choose else FIRST_SEED,
        identity='' if expert else variant_of(models_dir, options.model).identity,
        device=options.device,
    )  # fmt: skip
    # An expert has no hash by which its results could be told from those of another version.
    store = None if expert else PieceStore(options.out / PIECES)
    result = evaluate(config, progress_bar(), workers=options.workers, store=store)
    _print_counts(result)
    name = '-'.join(filter(None, (options.model, options.backend, suite.name)))
    path = options.json or options.out / f'{name}.json'
    with writing(path) as partial:
        facts = {'command': without_places(command), 'machine': describe_machine()}
        write_json(partial, {**result, **facts})
    print(f'result: {path}')
    if options.record:
        add_metrics(models_dir, options.model, {'closed_loop': result})
    return result


def evaluate_all(options: Namespace, models_dir: Path, command: str) -> dict[str, Any]:
    """
    Play every model in every suite, and write the table as JSON, page and picture.

    Rows of other models and suites that the table there has stay.
    """
    for name, given in (('--backend', options.backend), ('--record', options.record),
                        ('--choose', options.choose), ('--json', options.json)):  # fmt: skip
        if given:
            raise ParameterError(f'{name} is for one model; --all takes each as it is stored')
    plan = SuccessPlan(
        models_dir,
        tuple(suite_named(name) for name in options.suite or TABLE_SUITES),
        options.episodes,
        tuple(options.policy),
        device=options.device,
    )
    earlier = read_table(options.out / 'success.json')
    variants, _ = find_variants(models_dir)
    weights = {variant.model_id: variant.sha256 for variant in variants}
    act_ms = _act_times(plan, variants, _known_act_times(earlier))

    def write(measured: dict[str, Any]) -> dict[str, Any]:
        result = joined(earlier, _with_times(measured, act_ms), weights)
        result['command'] = without_places(command)
        write_table(options.out, result)
        return result

    store = PieceStore(options.out / PIECES)
    result = write(
        measure_success(plan, store, progress_bar(), workers=options.workers, on_row=write)
    )
    _print_rows(result)
    for name, reason in result['skipped'].items():
        print(f'not played: {name}: {reason}')
    print(f'table: {options.out / "success.md"}')
    return result


def write_table(folder: Path, result: Mapping[str, Any]) -> None:
    """Write ``success.json``, ``success.md`` and ``success.png`` below ``folder``."""
    write_json(folder / 'success.json', result)
    write_text(folder / 'success.md', success_page(result, 'success.png', 'success.json'))
    if result['rows']:
        write_bytes(folder / 'success.png', success_png(result['rows']))


def _act_times(
    plan: SuccessPlan, variants: Sequence[Variant], known: Mapping[str, Any]
) -> dict[str, Any]:
    """
    Return the time of one observation by hash of the weights; measured before others run.

    All models of a policy are measured together, so that they compare.
    """
    act_ms = dict(known)
    families: dict[str, dict[str, str]] = {}
    for variant in variants:
        if not plan.policies or {variant.policy, variant.model_id} & set(plan.policies):
            families.setdefault(variant.policy, {})[variant.model_id] = variant.sha256
    for family in families.values():
        if not set(family.values()) <= act_ms.keys():
            times = act_times_ms(plan.models_dir, list(family))
            act_ms.update({family[model_id]: spent for model_id, spent in times.items()})
    return act_ms


def _known_act_times(earlier: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what was measured on this machine."""
    if earlier is None:
        return {}
    here = describe_machine()
    return {
        row['sha256']: row['act_ms']
        for row in earlier['rows']
        if row['act_ms'] and earlier['machines'][row['machine']] == here
    }


def _with_times(result: Mapping[str, Any], act_ms: Mapping[str, Any]) -> dict[str, Any]:
    rows = [{**row, 'act_ms': act_ms.get(row['sha256'])} for row in result['rows']]
    return {**result, 'rows': rows}


def _print_counts(result: Mapping[str, Any]) -> None:
    table = Table('task', 'success', 'episodes', '95 % interval')
    for verb, row in {**result['per_verb'], 'all': result}.items():
        low, high = row['ci95']
        table.add_row(
            verb, f'{row["success"]:.1%}', str(row['episodes']), f'{low:.1%} - {high:.1%}'
        )
    Console().print(table)


def _print_rows(result: Mapping[str, Any]) -> None:
    table = Table('policy', 'backend', 'suite', 'success', '95 % interval', 'to the control')
    for row in result['rows']:
        low, high = row['ci95']
        against = row['against_control']
        gap = '-' if against is None else (
            f'{100 * against["difference"]:+.1f} '
            f'({100 * against["ci95"][0]:+.1f} to {100 * against["ci95"][1]:+.1f})'
        )  # fmt: skip
        table.add_row(
            row['policy'], row['backend'], row['suite'], f'{row["success"]:.1%}',
            f'{low:.1%} - {high:.1%}', gap,
        )  # fmt: skip
    Console().print(table)
