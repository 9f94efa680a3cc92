"""Plays recordings to models and tells how their actions compare."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
import sys
from typing import Any, Final

from rich.console import Console
from rich.table import Column, Table

from sara_ros.cli.replay_options import check_options
from sara_ros.cli.train import progress_bar
from sara_ros.core import ParameterError, SaraError
from sara_ros.core.errors import describe
from sara_ros.evaluation.files import write_json
from sara_ros.evaluation.formatting import number
from sara_ros.evaluation.replay.contender import Contender, needs_of
from sara_ros.evaluation.replay.html import write_page
from sara_ros.evaluation.replay.job import Job, JobResult
from sara_ros.evaluation.replay.many import Failure, Processes, Workers, run_jobs
from sara_ros.evaluation.replay.mapping import ReplayMap
from sara_ros.evaluation.replay.messages import BagError, name_of
from sara_ros.evaluation.replay.places import Place, places_of
from sara_ros.evaluation.replay.remarks import dropped
from sara_ros.evaluation.replay.replay import ReplaySettings
from sara_ros.evaluation.replay.report import report_of, shortcomings
from sara_ros.evaluation.replay.scores import BASELINES

PIPE_COLUMNS: Final = 160
Compare = Callable[[Job, JobResult], dict[str, Any]]


def run_replay(options: argparse.Namespace, models_dir: Path, command: str) -> int:
    """
    Replay, print a table, write what was asked for, and return the exit code.

    :raises SaraError: naming the recording or option that cannot be used.
    """
    check_options(options)
    compare = _live_comparison() if options.live else None
    places, failures = _places(options)
    jobs = _jobs(options, places, models_dir)
    outcomes = run_jobs(jobs, workers=_workers(options, len(jobs)), progress=progress_bar())
    failures += [each for each in outcomes if isinstance(each, Failure)]
    if len(options.bags) == len(jobs) == len(failures) == 1:
        raise BagError(failures[0].reason)
    pairs = zip(jobs, outcomes, strict=True)
    done = [(job, each) for job, each in pairs if isinstance(each, JobResult)]
    live = _live(compare, done, failures) if compare is not None else []
    results = [result for _, result in done]
    if results:
        report = report_of(results, command=command, live=live, failures=failures)
        _hand_out(options, report, results)
        missed = shortcomings(report, max_error=options.max_error, max_p95_ms=options.max_p95_ms)
    else:
        missed = [each.text() for each in failures]
    for text in missed:
        print(f'sara-ros replay: {text}', file=sys.stderr)
    return 1 if missed else 0


def _hand_out(
    options: argparse.Namespace, report: Mapping[str, Any], results: Sequence[JobResult]
) -> None:
    _print(report)
    if options.json is not None:
        _write('--json', options.json, lambda path: write_json(path, report))
    if options.html is not None:
        pages = [result.page for result in results]
        _write('--html', options.html, lambda path: write_page(report, pages, path))


def _write(option: str, path: Path, write: Callable[[Path], None]) -> None:
    try:
        write(path)
    except OSError as err:
        raise ParameterError(f'{option}: cannot write {path}: {describe(err)}') from err


def _check_names(known: ReplayMap, contenders: Sequence[Contender], models_dir: Path) -> None:
    """Refuse topics for observations that none of the models has."""
    if not known.topics:
        return
    names = {name for each in contenders for name in needs_of(models_dir, each)}
    unknown = [name for name in known.topics if name not in names]
    if unknown:
        raise ParameterError(
            f"topics: no model observes '{unknown[0]}'; known: {', '.join(sorted(names))}"
        )


def _workers(options: argparse.Namespace, jobs: int) -> Workers | None:
    if options.cluster:
        from sara_ros.evaluation.replay.cluster import RayCluster

        return RayCluster(options.cluster)
    return Processes(options.workers) if min(options.workers, jobs) > 1 else None


def _places(options: argparse.Namespace) -> tuple[list[Place], list[Failure]]:
    """Return every recording, and the folders of which none can be told."""
    places, failures = [], []
    for bag in options.bags:
        try:
            places += places_of(bag, options.episodes)
        except BagError as err:
            if len(options.bags) == 1:
                raise
            failures.append(Failure(name_of(bag), '', str(err)))
    return places, failures


def _jobs(options: argparse.Namespace, places: Sequence[Place], models_dir: Path) -> list[Job]:
    known = ReplayMap.read(options.map) if options.map is not None else ReplayMap()
    known = known.with_topics(options.topic)
    if options.instruction:
        known = replace(known, instruction=options.instruction, instruction_topic='')
    contenders = [Contender.parse(text) for text in (options.model, *options.against)]
    _check_names(known, contenders, models_dir)
    settings = ReplaySettings(known, options.latency_ms)
    _unique('recordings', [place.name for place in places])
    _unique('models', [contender.name for contender in contenders])
    return [
        Job(
            place, contender, models_dir,
            # One strip of pictures is enough for all models of a recording.
            replace(settings, frames=_frames(options, len(places)) if index == 0 else 0),
            options.rate_hz, options.device, options.threads, options.mcap,
        )
        for place in places
        for index, contender in enumerate(contenders)
    ]  # fmt: skip


def _unique(what: str, names: Sequence[str]) -> None:
    """Refuse what a report could not tell apart."""
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ParameterError(
            f"two {what} are called '{twice[0]}', and a report could not tell them apart; replay "
            'one after the other, or rename one'
        )


def _frames(options: argparse.Namespace, recordings: int) -> int:
    """Return the most pictures of one recording, so that a page of many stays small."""
    return max(8, 320 // recordings) if options.html is not None else 0


def _live_comparison() -> Compare:
    try:
        from sara_ros.cli.replay_live import compare_live
    except ImportError as err:
        raise ParameterError(f'--live needs ROS 2, which is not installed: {err}') from err
    return compare_live


def _live(
    compare: Compare, done: Sequence[tuple[Job, JobResult]], failures: list[Failure]
) -> list[dict[str, Any]]:
    """Compare each result; what fails is added to ``failures``."""
    found = []
    for job, result in done:
        try:
            found.append(compare(job, result))
        except SaraError as err:
            failures.append(Failure(job.place.name, job.contender.name, f'--live: {err}'))
    return found


def _print(report: Mapping[str, Any]) -> None:
    console = Console()
    if not console.is_terminal:
        console.width = PIPE_COLUMNS
    heads = ('error', *(name.split('_')[-1] for name in BASELINES), 'commands', 'p50 ms', 'p95 ms')
    table = Table(
        *(Column(name, overflow='fold') for name in ('recording', 'policy')),
        *(Column(name, justify='right', no_wrap=True) for name in heads),
        box=None,
        pad_edge=False,
    )
    for result in report['results']:
        error, compute = result['error'], result['measured']['stages_ms']['compute']
        table.add_row(
            result['bag']['name'],
            result['model']['name'],
            *(number(error['mean_absolute'][name], 4) for name in ('policy', *BASELINES)),
            str(result['commands']),
            number(compute['p50']),
            number(compute['p95']),
        )
    console.print(table)
    for text in _remarks(report):
        console.print(text, markup=False, highlight=False)


def _remarks(report: Mapping[str, Any]) -> list[str]:
    lines = []
    for result in report['results']:
        bag = result['bag']
        lines += [f'{bag["name"]}: {note}' for note in bag['notes']]
        lines += [
            f"{bag['name']}: topic '{each['name']}' skipped: {each['problem']}"
            for each in bag['skipped']
        ]
        if drops := dropped(result):
            lines.append(f'{bag["name"]}, {result["model"]["name"]}: dropped: {drops}')
        lines += [*result['remarks'], *result['problems']]
    for each in report['live']:
        lines.append(
            f'{each["bag"]}, {each["model"]}, live, chunks before queue and guard: '
            f'{each["equal"]} actions equal to the last bit, {each["different"]} different, '
            f'{each["only_bag_time"]} only in bag time, {each["only_live"]} only live'
        )
        lines += [f'{each["bag"]}, live: {note}' for note in each['notes']]
    return [*dict.fromkeys(lines), report['statement']]
