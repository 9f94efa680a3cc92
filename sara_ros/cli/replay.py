"""Plays recordings to models and tells how their actions compare."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
import sys
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from sara_ros.cli.train import progress_bar
from sara_ros.core import ParameterError
from sara_ros.evaluation.files import write_json
from sara_ros.evaluation.formatting import number
from sara_ros.evaluation.replay.contender import Contender
from sara_ros.evaluation.replay.html import write_page
from sara_ros.evaluation.replay.job import Job, JobResult
from sara_ros.evaluation.replay.many import Processes, Workers, run_jobs
from sara_ros.evaluation.replay.mapping import ReplayMap
from sara_ros.evaluation.replay.places import places_of
from sara_ros.evaluation.replay.replay import ReplaySettings
from sara_ros.evaluation.replay.report import report_of, shortcomings
from sara_ros.evaluation.replay.scores import BASELINES


def run_replay(options: argparse.Namespace, models_dir: Path, command: str) -> int:
    """
    Replay, print a table, write what was asked for, and return the exit code.

    :raises SaraError: naming the recording or option that cannot be used.
    """
    _check(options)
    jobs = _jobs(options, models_dir)
    results = run_jobs(jobs, workers=_workers(options, len(jobs)), progress=progress_bar())
    live = _live(jobs, results) if options.live else []
    report = report_of(results, command=command, live=live)
    _print(report)
    if options.json is not None:
        write_json(options.json, report)
    if options.html is not None:
        write_page(report, [result.page for result in results], options.html)
    missed = shortcomings(report, max_error=options.max_error, max_p95_ms=options.max_p95_ms)
    for text in missed:
        print(f'sara-ros replay: {text}', file=sys.stderr)
    return 1 if missed else 0


def _check(options: argparse.Namespace) -> None:
    for name, least in (('latency_ms', 0), ('rate_hz', 0), ('workers', 1), ('threads', 1)):
        value = getattr(options, name)
        if not value >= least:
            option = name.replace('_', '-')
            raise ParameterError(f'--{option} is {value}; it must be at least {least}')


def _workers(options: argparse.Namespace, jobs: int) -> Workers | None:
    if options.cluster:
        from sara_ros.evaluation.replay.cluster import RayCluster

        return RayCluster(options.cluster)
    return Processes(options.workers) if min(options.workers, jobs) > 1 else None


def _jobs(options: argparse.Namespace, models_dir: Path) -> list[Job]:
    known = ReplayMap.read(options.map) if options.map is not None else ReplayMap()
    known = known.with_topics(options.topic)
    if options.instruction:
        known = replace(known, instruction=options.instruction, instruction_topic='')
    contenders = [Contender.parse(text) for text in (options.model, *options.against)]
    settings = ReplaySettings(known, options.latency_ms)
    places = [place for bag in options.bags for place in places_of(bag, options.episodes)]
    _unique('recordings', [f'{place.path.resolve().name} {place.episode}' for place in places])
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
            f"two {what} are called '{twice[0].removesuffix(' None')}', and a report could not "
            'tell them apart; replay one after the other, or rename one'
        )


def _frames(options: argparse.Namespace, recordings: int) -> int:
    """Return the most pictures of one recording, so that a page of many stays small."""
    return max(8, 320 // recordings) if options.html is not None else 0


def _live(jobs: Sequence[Job], results: Sequence[JobResult]) -> list[dict[str, Any]]:
    try:
        from sara_ros.cli.replay_live import compare_live
    except ImportError as err:
        raise ParameterError(f'--live needs ROS 2, which is not installed: {err}') from err
    return [compare_live(job, result) for job, result in zip(jobs, results, strict=True)]


def _print(report: Mapping[str, Any]) -> None:
    console = Console()
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
        lines += result['problems']
    for each in report['live']:
        lines.append(
            f'{each["bag"]}, {each["model"]}, live: {each["equal"]} actions equal to the last '
            f'bit, {each["different"]} different, {each["only_bag_time"]} only in bag time, '
            f'{each["only_live"]} only live'
        )
        lines += [f'{each["bag"]}, live: {note}' for note in each['notes']]
    return [*dict.fromkeys(lines), report['statement']]
