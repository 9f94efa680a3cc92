"""What every player has in common: it waits to be asked, plays on a thread, and tells how far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from threading import Event, Thread
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.node import Node
from std_srvs.srv import Trigger

from sara_ros.nodes import qos
from sara_ros.nodes.ros_time import NS


class PlaybackNode(Node):
    """
    Plays once ``~/play`` is called.

    ``~/progress`` says 'ready', and at the end 'finished' with how many messages went out on
    each topic.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        """Offer the service; :meth:`start` gets ready to play."""
        super().__init__(name, **kwargs)
        self.published: Counter[str] = Counter()
        self._stopping = Event()
        self._playing = Event()
        self._thread = Thread(target=self._run, name='player', daemon=True)
        self._progress = self.create_publisher(DiagnosticStatus, '~/progress', qos.LATCHED)
        self._play = self.create_service(Trigger, '~/play', self._on_play)

    def start(self) -> None:
        """Prepare on the thread, and wait there to be asked."""
        self._thread.start()

    def ask(self) -> None:
        """Do not wait to be asked."""
        self._playing.set()

    def prepare(self) -> None:
        """Open files and decoders, which must not delay what is played."""
        raise NotImplementedError

    def play(self) -> None:
        """Publish everything, and return early when :meth:`wait_until` says so."""
        raise NotImplementedError

    def facts(self) -> Mapping[str, str]:
        """Return what the progress tells beside the messages on each topic."""
        return {}

    def close(self) -> None:
        """Stop playing."""
        self._stopping.set()
        self._playing.set()
        self._thread.join(timeout=5.0)

    def wait_until(self, due_ns: int) -> bool:
        """Wait until an instant of the monotonic clock; False once playing has to stop."""
        return not self._stopping.wait(max(due_ns - time.monotonic_ns(), 0) / NS)

    def report(self, state: str) -> None:
        """Tell how far it is."""
        pairs = {**{topic: str(n) for topic, n in self.published.items()}, **self.facts()}
        values = [KeyValue(key=key, value=text) for key, text in pairs.items()]
        self._progress.publish(
            DiagnosticStatus(name=self.get_fully_qualified_name(), message=state, values=values)
        )

    def _on_play(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = not self._playing.is_set()
        if not response.success:
            response.message = 'the recording was played already; start another player'
        self._playing.set()
        return response

    def _run(self) -> None:
        self.prepare()
        self.report('ready')
        self._playing.wait()
        self.play()
        if not self._stopping.is_set():
            self.report('finished')
