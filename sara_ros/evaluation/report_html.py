"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sara_ros.evaluation.files import write_text
from sara_ros.evaluation.formatting import NONE, driver, number, outcome
from sara_ros.evaluation.markup import Html, badge, data_uri, joined, table, tag
from sara_ros.evaluation.page import (
    card,
    figure,
    page,
    percentile_cells,
    picture,
    stage_table,
    tail_of,
    with_unit,
)
from sara_ros.evaluation.plots import DARK, timing_png
from sara_ros.evaluation.samples import CommandSample

Report = Mapping[str, Any]

TITLES: Final = {'demo': 'sara_ros demo', 'demo-real': 'sara_ros on real recordings'}

OUTCOME_COLORS: Final = {'success': 'good', 'failure': 'bad', 'not judged': 'blue'}


def write_html(
    report: Report,
    samples: Sequence[CommandSample],
    path: Path,
    *,
    video: Path | None = None,
    plot: Path | None = None,
) -> None:
    """
    Write ``report`` (the content of report.json) with its video and plot to one HTML file.

    :param samples: commands from which the plot for dark screens is drawn.
    :param video: MP4 to include.
    :param plot: PNG to include.
    """
    title = f'{TITLES.get(report["kind"], "sara_ros")}, {_minute(report)}'
    text = page(
        title,
        _header(report),
        _key_figures(report),
        _video(video),
        _episodes(report),
        _timing(report, samples, plot),
        *(section(report) for section in SECTIONS),
    )
    write_text(path, text)


def _header(report: Report) -> Html:
    machine, ros = report['machine'], report['ros']
    count, policies = len(report['episodes']), len(report['by_policy'])
    ran = f'{count} episodes, {policies} policies, {report["duration_sec"]:.0f} s'
    if report['first_command_sec'] is not None:
        ran += f', first command after {report["first_command_sec"]:.1f} s'
    graph = f'ROS 2 {ros["distro"]}, {ros["rmw"]}, {len(report["processes"])} processes'
    hardware = f'{machine.get("cpu")}, {machine.get("logical_cores")} cores'
    memory = f'{number(machine.get("memory_gib"))} GiB'
    parts = (hardware, memory, machine.get('gpu'), machine.get('os'), _minute(report))
    where = ' · '.join(str(part) for part in parts if part)
    return tag(
        'header',
        tag('h1', TITLES.get(report['kind'], 'sara_ros')),
        tag('p', f'{ran} over real topics: {graph}.'),
        tag('p', where, class_='dim'),
    )


def _minute(report: Report) -> str:
    return str(report['created'])[:16].replace('T', ' ') + ' UTC'


def _key_figures(report: Report) -> Html:
    commands, frames = report['commands'], report['frames']
    total = report['sensor_to_command_ms']
    rest = report['sensor_to_command_minus_inference_ms']
    used = f'{commands["count"]} commands, {commands["holds"]} holds, '
    missed = f'{commands["deadline_misses"]} deadline misses'
    size = f'{frames["width"]}x{frames["height"]} at {number(frames["rate_hz"])} Hz'
    figures = (
        ('Success, learned policies', *_successes(report['episodes'])),
        ('Command rate', with_unit(commands['rate_hz'], 'Hz'), used + missed),
        ('Sensor-to-command, p50', with_unit(total['p50'], 'ms'), tail_of(total)),
        ('Minus inference, p50', with_unit(rest['p50'], 'ms'), tail_of(rest)),
        ('Camera frames lost', frames['lost'], f'of {frames["published"]}, {size}'),
    )
    return tag('dl', *(figure(*each) for each in figures), class_='figures')


def _successes(episodes: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    scripted = _ratio([e for e in episodes if not e['learned']])
    detail = 'no scripted expert' if scripted == NONE else f'scripted expert {scripted}'
    return _ratio([e for e in episodes if e['learned']]), detail


def _ratio(episodes: Sequence[Mapping[str, Any]]) -> str:
    judged = [episode['success'] for episode in episodes if episode['success'] is not None]
    if not judged:
        return 'not judged' if episodes else NONE
    return f'{sum(judged)} of {len(judged)}'


def _video(video: Path | None) -> Html:
    if video is None:
        return Html()
    source = data_uri('video/mp4', video.read_bytes())
    player = tag(
        'video', src=source, controls=True, autoplay=True, muted=True, loop=True, playsinline=True
    )
    return card('Episodes', player)


def _episodes(report: Report) -> Html:
    heads = ('#', 'Policy', '', 'Instruction', 'Outcome', 'Ended by', 'Steps', 'Hz', 's')
    rows = [_episode(episode) for episode in report['episodes']]
    return card('Outcome of each episode', table('', heads, rows, numbers=3))


def _episode(episode: Mapping[str, Any]) -> tuple[object, ...]:
    word = outcome(episode['success'])
    remarks = ' '.join(filter(None, (episode['message'], episode['note'])))
    instruction = joined((episode['instruction'], tag('div', remarks, class_='dim')))
    return (
        episode['index'],
        tag('code', episode['policy']),
        _driver_badge(episode['learned']),
        instruction if remarks else episode['instruction'],
        badge(word, OUTCOME_COLORS[word]),
        episode['termination_reason'],
        episode['steps'],
        number(episode['command_rate_hz']),
        number(episode['duration_sec']),
    )


def _driver_badge(learned: bool) -> Html:
    return badge(driver(learned), 'blue' if learned else 'amber')


def _timing(report: Report, samples: Sequence[CommandSample], plot: Path | None) -> Html:
    skipped = f'{report["warm_up_excluded"]} warm-up commands and {report["commands"]["holds"]}'
    caption = f'{skipped} holds are counted, not timed.'
    stages = stage_table(caption, report['stages_ms'], report['sensor_to_command_ms'])
    return card('Timing', _picture(samples, plot), stages, _by_policy(report))


def _picture(samples: Sequence[CommandSample], plot: Path | None) -> Html:
    if plot is None:
        return Html()
    text = 'Median of each stage, and latency of each command'
    return picture(plot.read_bytes(), timing_png(samples, DARK), text)


def _by_policy(report: Report) -> Html:
    heads = (
        'Policy',
        '',
        'Attention',
        'Commands',
        'p50 ms',
        'p95 ms',
        'p99 ms',
        'Inference p50 ms',
    )
    rows = []
    for model, facts in report['by_policy'].items():
        inference = facts['stages_ms']['inference']['p50']
        total = percentile_cells(facts['sensor_to_command_ms'])[:3]
        backend = facts['attention_backend'] or NONE
        name, kind = tag('code', model), _driver_badge(facts['learned'])
        rows.append((name, kind, backend, facts['commands'], *total, number(inference, 2)))
    caption = 'Sensor-to-command by policy, and the median of inference alone'
    return table(caption, heads, rows, numbers=5)


def _counts(report: Report) -> Html:
    messages = report['messages']
    arrows = [('in', topic, n) for topic, n in messages['in'].items()]
    arrows += [('out', topic, n) for topic, n in messages['out'].items()]
    flows = [(way, tag('code', topic), n) for way, topic, n in arrows]
    drops = list(report['dropped'].items()) or [('none', 0)]
    return tag(
        'div',
        card('Messages', table('', ('', 'Topic', 'Messages'), flows, numbers=1)),
        card('Observations dropped', table('', ('Reason', 'Count'), drops, numbers=1)),
        class_='two',
    )


def _sources(report: Report) -> Html:
    if not report['sources']:
        return Html()
    keys = ('name', 'kind', 'topic', 'licence', 'note', 'messages', 'rate_hz')
    heads = ('Source', 'Kind', 'Topic', 'Licence', 'Note', 'Messages', 'Hz')
    rows = [
        [number(source[key]) if key == 'rate_hz' else source[key] for key in keys]
        for source in report['sources']
    ]
    return card('Recordings played', table('', heads, rows, numbers=2))


def _environment(report: Report) -> Html:
    processes = [(tag('code', p['name']), p['pid']) for p in report['processes']]
    facts = {**report['machine'], **{f'ros {k}': v for k, v in report['ros'].items()}}
    versions = [
        (name.replace('_gib', ' (GiB)').replace('_', ' '), value)
        for name, value in facts.items()
        if value is not None
    ]
    return tag(
        'div',
        card('Machine and versions', table('', ('', ''), versions)),
        card('Processes', table('', ('Name', 'pid'), processes, numbers=1)),
        class_='two',
    )


def _notes(report: Report) -> Html:
    if not report['notes']:
        return Html()
    return card('Notes', tag('ul', *(tag('li', note) for note in report['notes'])))


SECTIONS: Final[tuple[Callable[[Report], Html], ...]] = (_counts, _sources, _environment, _notes)
