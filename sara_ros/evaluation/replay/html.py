"""The page of a replay: figures, plots, and every moment with both actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
import json
from pathlib import Path
from typing import Any, Final

from sara_ros.evaluation.files import write_text
from sara_ros.evaluation.formatting import NONE, number
from sara_ros.evaluation.markup import Html, badge, data_uri, table, tag
from sara_ros.evaluation.page import card, page, percentile_cells, picture
from sara_ros.evaluation.plots import DARK, LIGHT
from sara_ros.evaluation.replay.error_plot import error_png
from sara_ros.evaluation.replay.many import Failure
from sara_ros.evaluation.replay.page_data import PageData
from sara_ros.evaluation.replay.remarks import dropped, idle
from sara_ros.evaluation.replay.report import Report
from sara_ros.evaluation.replay.scores import BASELINES

TITLE: Final = 'sara_ros replay'
BASELINES_ARE: Final = (
    'Three predictions that cost nothing stand beside the policy. Training mean: always the mean '
    'action. Copy state: stay where the robot is. Copy previous action: repeat the last recorded '
    'action, which is hard to beat where the recording moves slowly. A policy that is no better '
    'than the first two has learned little about this recording.'
)
STAGES: Final = ('decode', 'preprocess', 'inference', 'compute')


def write_page(report: Report, pages: Sequence[PageData], path: Path) -> None:
    """Write a page that needs nothing but itself; ``pages`` go with the results of the report."""
    script = (resources.files(__package__) / 'replay.js').read_text(encoding='utf-8')
    results = report['results']
    text = page(
        TITLE,
        _header(report),
        *_remarks(report),
        card('Error', _errors(results), tag('p', BASELINES_ARE, class_='dim'), _plots(results)),
        card('Every moment', _scrubber(), _data(pages)),
        card('Commands', _commands(results)),
        card('Time on this machine', _times(results)),
        *([card('Live graph', _live(report['live']))] if report['live'] else []),
        card('Recordings', *(_bag(result) for result in results)),
        script=script,
    )
    write_text(path, text)


def _header(report: Report) -> Html:
    bags = {result['bag']['name'] for result in report['results']}
    models = {result['model']['name'] for result in report['results']}
    machine = report['machine']
    return tag(
        'header',
        tag('h1', TITLE),
        tag('p', badge('open loop', 'amber'), ' ', report['statement']),
        tag('p', f'{", ".join(sorted(models))} on {", ".join(sorted(bags))}', class_='dim'),
        tag('p', f'{machine.get("cpu")} · {report["command"]}', class_='dim'),
    )


def _remarks(report: Report) -> list[Html]:
    lines = [f'no result: {Failure(**each).text()}' for each in report['failures']]
    for result in report['results']:
        where = f'{result["bag"]["name"]}, {result["model"]["name"]}'
        lines += [result['bag']['broken']] if result['bag']['broken'] else []
        lines += [f'{where}: {idle(result)}', *result['problems']] if idle(result) else []
        lines += result['remarks']
    items = [tag('li', line) for line in dict.fromkeys(lines)]
    return [card('Before you read the numbers', tag('ul', *items))] if items else []


def _errors(results: Sequence[Mapping[str, Any]]) -> Html:
    heads = ('Recording', 'Policy', 'Compared', 'Mean absolute error',
             *(name.replace('_', ' ') for name in BASELINES))  # fmt: skip
    rows = []
    for result in results:
        error = result['error']
        means = [error['mean_absolute'][name] for name in ('policy', *BASELINES)]
        rows.append((
            result['bag']['name'], tag('code', result['model']['name']), error['compared'],
            *(number(value, 5) for value in means),
        ))  # fmt: skip
    caption = 'In the units of the action, over all its dimensions; training mean from ' + (
        ', '.join(sorted({result['training_mean_from'] for result in results}))
    )
    return table(caption, heads, rows, numbers=5)


def _plots(results: Sequence[Mapping[str, Any]]) -> Html:
    known = [result for result in results if result['error']['compared']]
    if not known:
        return tag('p', 'No action could be compared, so there is no error.', class_='dim')
    text = 'Mean absolute error of each dimension as a share of its range'
    return picture(error_png(known, LIGHT), error_png(known, DARK), text)


def _scrubber() -> Html:
    labels = [
        tag('label', 'Recording ', tag('select', id='bag')),
        tag('label', ' Dimension ', tag('select', id='dimension')),
    ]
    return tag(
        'div',
        tag('p', *labels, ' ', tag('output', id='clock')),
        tag('input', id='scrubber', type='range', min=0, value=0, style='width:100%'),
        tag('p', id='legend'),
        tag('canvas', id='plot', style='width:100%;height:240px'),
        tag('img', id='frame', alt='what the policy saw', hidden=True),
        tag('table', tag('thead', tag('tr', id='heads')), tag('tbody', id='values')),
    )


def _data(pages: Sequence[PageData]) -> Html:
    text = json.dumps(_by_bag(pages), ensure_ascii=True, separators=(',', ':'))
    # A recording's name must not end the element.
    safe = text.replace('<', '\\u003c')
    return tag('script', Html(safe), id='data', type='application/json')


def _by_bag(pages: Sequence[PageData]) -> list[dict[str, Any]]:
    bags: dict[tuple[str, tuple[str, ...]], dict[str, Any]] = {}
    for each in pages:
        key = each.bag, tuple(each.dimensions)
        if key not in bags:
            bags[key] = {
                'bag': each.bag,
                'dimensions': each.dimensions,
                'units': each.units,
                'recorded': asdict(each.recorded),
                'policies': [],
                'frames': [data_uri('image/jpeg', frame.jpeg) for frame in each.frames],
                'frame_times_sec': each.frame_times_sec,
            }
        bags[key]['policies'].append(asdict(each.policy))
    return list(bags.values())


def _commands(results: Sequence[Mapping[str, Any]]) -> Html:
    heads = ('Recording', 'Policy', 'Commands', 'Holds', 'Clipped', 'Age p50 ms', 'Age p95 ms',
             'Change', 'Recorded change')  # fmt: skip
    rows = []
    for result in results:
        age, smooth = result['observation_age_ms'], result['smoothness']
        rows.append((
            result['bag']['name'], tag('code', result['model']['name']), result['commands'],
            result['holds'], _percent(result['clipped_share']), number(age['p50']),
            number(age['p95']), _percent(smooth['policy']['change']),
            _percent(smooth['recorded']['change']),
        ))  # fmt: skip
    return table(
        'On the clock of the recording. Holds: commands without a fresh action. Clipped: values '
        'beyond the range of the policy. Age: from the stamp of the observation to its command. '
        'Change: mean difference of commands that follow each other, as a share of the range',
        heads, rows, numbers=7,
    )  # fmt: skip


def _times(results: Sequence[Mapping[str, Any]]) -> Html:
    heads = ('Policy', 'Stage', 'p50 ms', 'p95 ms', 'p99 ms', 'max ms', 'Deadline misses')
    rows = []
    for result in results:
        measured = result['measured']
        misses = measured['deadline']
        for stage in STAGES:
            last = stage == STAGES[-1]
            missed = f'{misses["misses"]} at {misses["rate_hz"]:g} Hz' if last else ''
            cells = percentile_cells(measured['stages_ms'][stage])
            rows.append((tag('code', result['model']['name']), stage, *cells, missed))
    return table('compute: preprocess and inference', heads, rows, numbers=5)


def _live(live: Sequence[Mapping[str, Any]]) -> Html:
    heads = ('Recording', 'Policy', 'Equal to the last bit', 'Different', 'Only in bag time',
             'Only live')  # fmt: skip
    rows = [
        (each['bag'], tag('code', each['model']), each['equal'], each['different'],
         each['only_bag_time'], each['only_live'])
        for each in live
    ]  # fmt: skip
    notes = [tag('p', f'{each["bag"]}: {text}') for each in live
             for text in (*each['unexplained'], *each['notes'])]  # fmt: skip
    caption = 'Actions of chunks, before queue and guard, by the observation behind them'
    return tag('div', table(caption, heads, rows, numbers=4), *notes)


def _bag(result: Mapping[str, Any]) -> Html:
    bag = result['bag']
    rows = [
        *((each['name'], each['type'], each['used_as'] or NONE, each['count'])
          for each in bag['topics']),
        *((each['name'], each['type'], f'skipped: {each["problem"]}', each['count'])
          for each in bag['skipped']),
    ]  # fmt: skip
    runs = ', '.join(f'{count} {reason}' for reason, count in result['runs'].items()) or 'none'
    lines = [
        f'instruction: {", ".join(result["instructions"])}',
        f'observations: {result["observations"]}; runs ended: {runs}',
        f'dropped: {dropped(result) or "none"}',
        *bag['notes'],
        *result['problems'],
    ]
    title = f'{bag["name"]} ({bag["kind"]}, {bag["span_sec"]:.1f} s), {result["model"]["name"]}'
    heads = ('Topic', 'Type', 'Used as', 'Messages')
    return tag('div', table(title, heads, rows, numbers=1),
               tag('ul', *(tag('li', line) for line in lines)))  # fmt: skip


def _percent(share: float | None) -> str:
    return NONE if share is None else f'{share:.2%}'
