"""The live view is a panel on a terminal and plain lines elsewhere."""

import io
import re

import pytest

from sara_ros.evaluation.progress import LiveView
from sara_ros.evaluation.session import Episode
from sara_ros.evaluation.status import LiveStatus

EPISODE = Episode(1, 'push [red]', 'rt2', 'rt2', True, True, 'terminate', 42, 4.2, 10.0)
STATUS = LiveStatus(1, 'push [red]', 'rt2', True, 'running', 5, 9.9, 10.0, 20.0, 30.0, 1, 2)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


class Clock:
    """Seconds that pass when told."""

    now = 100.0

    def __call__(self):
        return self.now


def test_plain_lines():
    """One line per note and finished episode, without colours, markup taken literally."""
    stream = io.StringIO()
    with LiveView('sara_ros demo', 2, stream=stream) as view:
        view.note('ready')
        view.update(STATUS)
        view.finish(EPISODE)
    title, note, running, finished = stream.getvalue().splitlines()
    assert (title, note) == ('sara_ros demo', 'ready')
    assert running == (
        '  1/2 running: rt2 (learned), step 5, 9.9 Hz, sensor-to-command p50/p95/p99 '
        '10.0 / 20.0 / 30.0 ms, 1 holds, 2 drops: push [red]'
    )
    assert ' '.join(finished.split()) == (
        '1/2 success push [red] rt2 (learned), terminate, 42 steps, 4.2 s, 10.0 Hz'
    )


def test_plain_lines_are_rare():
    """A log gets a line every few seconds, not one per command."""
    stream, clock = io.StringIO(), Clock()
    with LiveView('demo', 2, stream=stream, plain_period_sec=5, monotonic_sec=clock) as view:
        for _ in range(81):
            view.update(STATUS)
            clock.now += 0.125
    assert stream.getvalue().count('running') == 3


def test_colours_are_not_forced_on_a_log(monkeypatch):
    """Many a CI sets FORCE_COLOR, which must not fill its log with control codes."""
    monkeypatch.setenv('FORCE_COLOR', '1')
    stream = io.StringIO()
    with LiveView('demo', 2, stream=stream) as view:
        view.update(STATUS)
        view.finish(EPISODE)
    assert '\x1b' not in stream.getvalue()


@pytest.mark.parametrize(
    ('learned', 'success', 'words'),
    [
        (True, False, ('failure', '(learned)')),
        (False, True, ('success', '(scripted expert)')),
        (True, None, ('not judged', '(learned)')),
    ],
)
def test_who_drove_and_how_it_ended(learned, success, words):
    """Every finished episode says both."""
    stream = io.StringIO()
    with LiveView('demo', 1, stream=stream) as view:
        view.finish(Episode(1, 'go', 'p', 'k', learned, success, 'timeout', 1, 1.0, None))
    assert all(word in stream.getvalue() for word in words)


def test_control_codes_stay_out():
    """An instruction cannot move the cursor or break a line."""
    stream = io.StringIO()
    rude = Episode(1, 'a\x1b[2Jb\nc', 'p', 'k', True, True, 'timeout', 1, 1.0, None)
    with LiveView('demo', 1, stream=stream) as view:
        view.finish(rude)
    assert '\x1b' not in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 2


@pytest.fixture
def terminal(monkeypatch):
    """Return a stream that stands for a terminal of 120 columns."""
    monkeypatch.setenv('TERM', 'xterm-256color')
    monkeypatch.setenv('COLUMNS', '120')
    return Terminal()


def test_terminal(terminal):
    """The panel shows the running episode, and the cursor is given back at the end."""
    with LiveView('sara_ros demo', 2, stream=terminal, refresh_hz=50) as view:
        view.update(STATUS)
        view.finish(EPISODE)
        view.update(STATUS)
        view.note('[b]noted[/b]')
    text = terminal.getvalue()
    assert 'episode 1 of 2' in text
    assert '10.0 / 20.0 / 30.0 ms' in text
    assert 'push [red]' in text
    assert '[b]noted[/b]' in text
    assert text.count('42 steps') == 1
    assert text.rindex('\x1b[?25h') > text.rindex('\x1b[?25l')


def test_terminal_keeps_notes_whole(terminal):
    """An error message longer than the terminal is wide keeps its end."""
    with LiveView('demo', 2, stream=terminal) as view:
        view.note('word ' * 60 + 'the end')
        view.finish(Episode(1, 'go ' * 90, 'p', 'k', True, True, 'timeout', 1, 1.0, None))
    text = re.sub(r'\x1b\[[0-9;?]*[a-zA-Z]', '', terminal.getvalue())
    assert 'the end' in text
    assert max(map(len, re.split(r'[\r\n]', text))) <= 120


def test_terminal_after_an_error(terminal):
    """An error inside the block does not leave the cursor hidden."""

    def fail():
        with LiveView('demo', 1, stream=terminal) as view:
            view.update(STATUS)
            raise RuntimeError('policy died')

    with pytest.raises(RuntimeError, match='policy died'):
        fail()
    text = terminal.getvalue()
    assert text.rindex('\x1b[?25h') > text.rindex('\x1b[?25l')
