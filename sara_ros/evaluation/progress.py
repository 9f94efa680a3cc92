"""The live view of a running session in a terminal, or plain lines in a log."""

from __future__ import annotations

from collections.abc import Callable
import sys
import time
from types import TracebackType
from typing import Final, TextIO

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sara_ros.evaluation.formatting import NONE, driver, number, one_line, outcome
from sara_ros.evaluation.session import Episode
from sara_ros.evaluation.status import LiveStatus

STYLES: Final = {'success': 'bold green', 'failure': 'bold red', 'not judged': 'bold cyan'}


class LiveView:
    """
    Shows the running episode, with finished episodes above it.

    On a terminal the view is redrawn ``refresh_hz`` times a second. Elsewhere each finished
    episode and each note is a line, and the running one is a line every ``plain_period_sec``.

    :param total: number of episodes to come.
    :param stream: where to print; standard output when None.
    """

    def __init__(
        self,
        title: str,
        total: int,
        *,
        stream: TextIO | None = None,
        refresh_hz: float = 5.0,
        plain_period_sec: float = 5.0,
        monotonic_sec: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare the view; ``with`` shows it."""
        self._title = title
        self._total = total
        self._stream = stream or sys.stdout
        self._console = Console(file=self._stream, highlight=False)
        self._status: LiveStatus | None = None
        self._live: Live | None = None
        # Rich's own test is also true where FORCE_COLOR is set, as in the logs of many a CI.
        if self._stream.isatty() and not self._console.is_dumb_terminal:
            self._live = Live(
                console=self._console,
                get_renderable=self._render,
                refresh_per_second=refresh_hz,
                transient=True,
            )
        self._plain_period_sec = plain_period_sec
        self._now_sec = monotonic_sec
        self._next_plain_sec = 0.0

    def __enter__(self) -> LiveView:
        """Show the view."""
        if self._live is None:
            self._print(Text(self._title))
        else:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the terminal back."""
        if self._live is not None:
            self._live.stop()

    def update(self, status: LiveStatus) -> None:
        """Show ``status``; cheap enough to be called at the command rate."""
        self._status = status
        if self._live is None and self._now_sec() >= self._next_plain_sec:
            self._next_plain_sec = self._now_sec() + self._plain_period_sec
            self._print(Text('  ' + _plain(status, self._total)))

    def finish(self, episode: Episode) -> None:
        """Add ``episode`` to the finished ones."""
        self._status = None
        self._next_plain_sec = self._now_sec() + self._plain_period_sec
        self._print(_row(episode, self._total))

    def note(self, text: str) -> None:
        """Print a text that stays; a terminal wraps it, so that no part of an error is lost."""
        self._print(Text(text), whole=True)

    def _print(self, text: Text, *, whole: bool = False) -> None:
        if self._live is None:
            print(text.plain, file=self._stream, flush=True)
        else:
            self._console.print(text, no_wrap=not whole, overflow='fold' if whole else 'ellipsis')

    def _render(self) -> Panel:
        status = self._status
        body = Text('waiting for the next episode', 'dim') if status is None else _table(status)
        progress = NONE if status is None else str(status.episode)
        heading = Text(f'{self._title}   episode {progress} of {self._total}')
        return Panel(body, title=heading, title_align='left', border_style='cyan')


def _table(status: LiveStatus) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style='dim', no_wrap=True)
    table.add_column(overflow='fold')
    speed = f'{status.steps} steps at {number(status.command_rate_hz)} Hz'
    style = 'bold green' if status.learned else 'bold yellow'
    rows = {
        'instruction': Text(one_line(status.instruction), 'bold'),
        'policy': Text.assemble(status.policy, '  ', (driver(status.learned), style)),
        'state': Text(status.state, STYLES.get(status.state, 'cyan')),
        'commands': Text(f'{speed}, {status.holds} holds'),
        'sensor-to-command': Text(f'{status.latency} ms  (p50 / p95 / p99)'),
        'dropped': Text(f'{status.drops} observations'),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _plain(status: LiveStatus, total: int) -> str:
    return (
        f'{status.episode}/{total} {status.state}: {status.policy} ({driver(status.learned)}), '
        f'step {status.steps}, {number(status.command_rate_hz)} Hz, '
        f'sensor-to-command p50/p95/p99 {status.latency} ms, '
        f'{status.holds} holds, {status.drops} drops: {one_line(status.instruction)}'
    )


def _row(episode: Episode, total: int) -> Text:
    word = outcome(episode.success)
    rate = number(episode.command_rate_hz)
    return Text.assemble(
        f'{episode.index:>3}/{total} ',
        (f'{word:<10} ', STYLES[word]),
        f'{one_line(episode.instruction):<34}  ',
        f'{episode.policy} ({driver(episode.learned)}), {episode.termination_reason}, ',
        f'{episode.steps} steps, {episode.duration_sec:.1f} s, {rate} Hz',
    )
