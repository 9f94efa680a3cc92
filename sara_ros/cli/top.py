"""A live view of a running graph in the terminal."""

from __future__ import annotations

import sys
import time
from typing import Final, TextIO

from sara_ros.core import ParameterError
from sara_ros.evaluation.graph_view import GraphView
from sara_ros.nodes.graph_watch import GraphWatch

TERMINAL_PERIOD_SEC: Final = 0.5
PLAIN_PERIOD_SEC: Final = 2.0


def show_graph(
    policy: str,
    manager: str,
    *,
    seconds: float = 0.0,
    period_sec: float = 0.0,
    stream: TextIO | None = None,
) -> None:
    """
    Show the graph until Ctrl-C; on a terminal as tables, elsewhere one line per period.

    :param policy: name of the policy node, such as ``/left/policy``.
    :param manager: name of its model manager.
    :param seconds: end after so long; 0: never.
    :param period_sec: time between updates; 0: 0.5 s on a terminal, 2 s elsewhere.
    :raises ParameterError: for a name that is not valid, or a time below 0.
    """
    if seconds < 0 or period_sec < 0:
        raise ParameterError('--seconds and --period must not be below 0')
    stream = stream or sys.stdout
    usual_sec = TERMINAL_PERIOD_SEC if stream.isatty() else PLAIN_PERIOD_SEC
    deadline = time.monotonic() + (seconds or float('inf'))
    with GraphWatch(policy, manager) as watch, GraphView(stream) as view:
        while time.monotonic() < deadline:
            time.sleep(min(period_sec or usual_sec, max(deadline - time.monotonic(), 0.0)))
            view.update(watch.status())
