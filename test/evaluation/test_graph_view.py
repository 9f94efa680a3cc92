"""The live view of a graph: tables on a terminal, lines elsewhere."""

import io
import re
from xml.etree import ElementTree

import pytest
from rich.console import Console

from sara_ros.core.health import Level
from sara_ros.evaluation.graph_status import (
    GraphStatus,
    HealthRow,
    ModelRow,
    StageRow,
    TopicRow,
)
from sara_ros.evaluation.graph_view import GraphView, plain_line, render, render_svg

TOTAL = StageRow('sensor_to_command', 100, 20.0, 25.2, 30.0, 44.4)
INFERENCE = StageRow('inference', 100, 9.4, 12.7, 15.0, 21.0)
STATUS = GraphStatus(
    heard_sec=0.1,
    model_id='rt2-tabletop',
    attention_backend='sara',
    state='active',
    instruction='push [red] \x1b[2Jblock',
    swap='rolled_back: pct: too slow',
    command_rate_hz=19.9,
    wanted_rate_hz=20.0,
    counts={'commands_published': 500, 'holds': 3, 'deadline_misses': 1},
    drops={'late': 2, 'superseded': 5},
    clips={'range': 4},
    cpu_percent=61.0,
    memory_mib=512.0,
    stages=[INFERENCE, TOTAL],
    observation_age=StageRow('observation_age', 100, 21.0, 26.0, 31.0, 45.0),
    models=[ModelRow('rt2-tabletop', 'sara', 500, 5, INFERENCE, TOTAL)],
    health=[HealthRow(Level.OK, 'policy', 'active'), HealthRow(Level.WARN, 'commands', 'slow')],
    nodes=['/policy', '/model_manager'],
    topics=[TopicRow('/policy/action', 'sara_ros_msgs/msg/EndEffectorAction', 1, 2, 20.04)],
)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def test_a_line_holds_what_matters_most():
    line = plain_line(STATUS)
    for words in (
        'WARN: rt2-tabletop (sara) active', '19.9 Hz', '20.0 / 25.2 / 30.0 / 44.4 ms',
        'age p95 26.0 ms', '3 holds', '1 deadline misses', '7 drops', 'CPU 61 %, 512 MiB',
        'push [red]', 'swap rolled_back: pct: too slow', 'commands: slow',
    ):  # fmt: skip
        assert words in line, words
    assert '\x1b' not in line


def test_a_graph_without_a_policy():
    assert plain_line(GraphStatus(nodes=['/simulator'])) == (
        'no policy heard of; nodes: /simulator'
    )
    assert GraphStatus().level == Level.STALE


def test_the_screen_shows_everything():
    stream = io.StringIO()
    Console(file=stream, width=160, height=60).print(render(STATUS))
    text = stream.getvalue()
    for words in (
        'rt2-tabletop (sara)', 'push [red]', '19.9 of 20.0 Hz', '2 late, 5 superseded', '4 range',
        'inference', 'sensor to command', '44.4', 'observation age', 'WARN', 'slow',
        '/policy/action', '20.0', 'rolled_back: pct: too slow', '/model_manager', '512 MiB',
    ):  # fmt: skip
        assert words in text, words
    assert '\x1b' not in text


def test_an_empty_screen():
    stream = io.StringIO()
    Console(file=stream, width=120).print(render(GraphStatus()))
    assert 'heard never' in stream.getvalue()


def test_plain_lines_elsewhere(monkeypatch):
    """Many a CI sets FORCE_COLOR, which must not fill its log with control codes."""
    monkeypatch.setenv('FORCE_COLOR', '1')
    stream = io.StringIO()
    with GraphView(stream) as view:
        view.update(STATUS)
        view.update(STATUS)
    assert len(stream.getvalue().splitlines()) == 2
    assert '\x1b' not in stream.getvalue()


@pytest.mark.parametrize('width', [40, 200])
def test_the_terminal_is_given_back(monkeypatch, width):
    """After an error too; and a narrow one is enough."""
    monkeypatch.setenv('TERM', 'xterm-256color')
    monkeypatch.setenv('COLUMNS', str(width))
    stream = Terminal()

    def fail():
        with GraphView(stream) as view:
            view.update(STATUS)
            raise RuntimeError('gone')

    with pytest.raises(RuntimeError, match='gone'):
        fail()
    text = stream.getvalue()
    assert 'sara-ros top' in text
    assert text.rindex('\x1b[?1049l') > text.rindex('\x1b[?1049h')
    assert text.rindex('\x1b[?25h') > text.rindex('\x1b[?25l')


def test_a_picture_of_the_screen_loads_nothing():
    """Rich's own pictures ask a server for their font."""
    picture = render_svg(STATUS)
    root = ElementTree.fromstring(picture)
    text = ''.join(root.itertext())
    assert 'rolled_back:' in text
    assert re.findall(r'(?:url\("?|href="|src=")(?!#)[^)"]*', picture) == []
