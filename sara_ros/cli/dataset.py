"""Makes LeRobot data sets of bags."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
import hashlib
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from sara_ros.cli.train import progress_bar
from sara_ros.core import ParameterError
from sara_ros.evaluation.dataset.convert import SOURCE_FILE, convert
from sara_ros.evaluation.dataset.plan import DatasetOptions
from sara_ros.evaluation.formatting import number
from sara_ros.evaluation.replay.lerobot_source import is_lerobot
from sara_ros.evaluation.replay.mapping import ReplayMap

NUMBERS = ('episodes', 'frames', 'images', 'repeated', 'held', 'unused', 'without_action')


def run_dataset(options: argparse.Namespace) -> Path:
    """
    Make the data set, print what each bag gave, and return its folder.

    :raises SaraError: naming the bag and what is wrong with it.
    """
    with progress_bar() as bar:
        report = convert(options.bags, options.out, options_of(options), progress=bar)
    print_report(report)
    return Path(options.out)


def training_folder(
    data: Sequence[Path], work: Path, options: DatasetOptions, progress: Progress | None = None
) -> Path:
    """
    Return the LeRobot folder to train on: ``data`` itself, or one made of its bags below ``work``.

    A folder that was made before is used again while bags and options are the same.

    :raises SaraError: naming what cannot be read.
    """
    folders = [path for path in data if is_lerobot(path)]
    if folders and len(data) > 1:
        raise ParameterError(
            f'--data names {len(data)} recordings, and {folders[0]} is a LeRobot folder; name one '
            'folder, or bags'
        )
    missing = [path for path in data if not path.exists()]
    if missing:
        raise ParameterError(f'--data: {missing[0]} does not exist')
    if folders or _is_incomplete(data[0]):
        return data[0]
    stated = _stated(data, options)
    digest = hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()[:8]
    folder = work / 'data' / f'{data[0].resolve().stem}-{digest}'
    if (folder / SOURCE_FILE).is_file():
        print(f'data set: {folder}, made before of the same bags')
        return folder
    report = convert(data, folder, options, stated=stated, progress=progress)
    print_report(report)
    print(f'data set: {folder}')
    return folder


def options_of(options: argparse.Namespace) -> DatasetOptions:
    """
    Return what the command line says of the bags.

    :raises ParameterError: for a map that cannot be read, and for a rate that is none.
    """
    known = ReplayMap.read(options.map) if options.map is not None else ReplayMap()
    known = known.with_topics(options.topic)
    if options.instruction:
        known = replace(known, instruction=options.instruction, instruction_topic='')
    if options.fps < 0:
        raise ParameterError(f'--fps is {options.fps}; give frames a second, or 0')
    return DatasetOptions(known, tuple(options.camera), options.fps)


def print_report(report: Mapping[str, Any]) -> None:
    """Print what each bag gave, and what could not be used."""
    table = Table(
        Column('bag', overflow='fold'),
        *(Column(name.replace('_', ' '), justify='right') for name in (*NUMBERS, 'Hz')),
        box=None,
        pad_edge=False,
    )
    for bag in report['bags']:
        counts = {**bag, 'episodes': len(bag['episodes'])}
        table.add_row(bag['bag'], *(str(counts[name]) for name in NUMBERS), number(bag['rate_hz']))
    console = Console()
    console.print(table)
    for text in _remarks(report):
        console.print(text, markup=False, highlight=False)


def _remarks(report: Mapping[str, Any]) -> list[str]:
    lines = []
    if report['constant']:
        lines.append(f'nothing records {", ".join(report["constant"])}: constant in every frame')
    for bag in report['bags']:
        name = bag['bag']
        lines += [f'{name}: {note}' for note in bag['notes']]
        lines += [f'{name}: {count} dropped: {why}' for why, count in bag['dropped'].items()]
        lines += [
            f'{name}: gap of {each["sec"]} s after stamp {each["after"]}' for each in bag['gaps']
        ]
        lines += bag['problems']
    lines.append(
        f'episodes: {report["episodes"]}, frames: {report["frames"]} at {report["fps"]} fps; '
        f'cameras: {", ".join(report["cameras"])}; joints: {len(report["state"])}; numbers of an '
        f'action: {len(report["action"])}'
    )
    return lines


def _is_incomplete(path: Path) -> bool:
    """Tell whether a folder is meant to be a data set; training says what it lacks."""
    return (path / 'meta').is_dir()


def _stated(data: Sequence[Path], options: DatasetOptions) -> dict[str, Any]:
    """Return what a data set depends on; sizes and times stand for the content of bags."""
    from sara_ros import __version__

    files = [
        [each.name, each.stat().st_size, each.stat().st_mtime_ns]
        for path in data
        for each in (sorted(path.iterdir()) if path.is_dir() else [path])
        if each.is_file()
    ]
    return {'version': __version__, 'files': files, 'options': repr(options)}


__all__ = ['options_of', 'print_report', 'run_dataset', 'training_folder']
