"""How a node's process starts and ends, in this process where that shows the same."""

import os
import signal
import subprocess
import sys
import threading
import time

from nodes.host import until
import pytest

from sara_ros.core import SaraError

rclpy = pytest.importorskip('rclpy')

from rclpy.node import Node  # noqa: E402

from sara_ros.nodes import model_manager, policy, simulator  # noqa: E402
from sara_ros.nodes.process import run_node  # noqa: E402


@pytest.fixture(autouse=True)
def signals(ros_domain):
    """Put the signal handlers back that `run_node` replaces."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ('main', 'arguments', 'texts'),
    [
        (policy.main, ['-p', 'model:=5'], ["parameter 'model' of node policy", 'expected str']),
        (policy.main, ['-p', 'torch_threads:=-1'], ["parameter 'torch_threads'", 'out of range']),
        (policy.main, ['-p', 'sync_timeout_sec:=1'], ["'sync_timeout_sec'", 'expected float']),
        (policy.main, ['--params-file', '/nowhere.yaml'], ['/nowhere.yaml']),
        (policy.main, ['-r', '__node:=bad name'], ['bad name']),
        (model_manager.main, ['-p', 'window_commands:=1'], ["'window_commands'", 'Min: 10']),
        (simulator.main, ['-p', 'camera_rate_hz:=0.0'], ["'camera_rate_hz'", 'out of range']),
        (simulator.main, ['-p', 'action_topic:=bad topic'], ['bad topic']),
    ],
)
def test_what_cannot_be_used_ends_the_process_with_one_line(main, arguments, texts, capfd):
    """Bad topics and missing parameter files once ended in a traceback."""
    assert main(['--ros-args', *arguments]) == 2
    out = capfd.readouterr()
    ours = [line for line in out.err.splitlines() if line.startswith('error: ')]
    assert len(ours) == 1
    assert 'Traceback' not in out.err + out.out
    for text in texts:
        assert text in ours[0]


def test_a_simulation_that_fails_ends_the_process(monkeypatch, capfd):
    """Without an OpenGL library the node once went on, with no topic ever published."""

    class NoRig:
        def __init__(self, model):
            raise RuntimeError('no OpenGL')

    monkeypatch.setattr(simulator, 'CameraRig', NoRig)
    assert simulator.main([]) == 2
    assert 'error: the simulation stopped: RuntimeError: no OpenGL' in capfd.readouterr().err


class Closing(Node):
    """Notes on which thread it was closed; ``busy`` is a callback that does not return."""

    def __init__(self, *, busy=False, broken=False):
        super().__init__('closing')
        self.closed_on = []
        self.halted_on = []
        self.spun_on = []
        self.release = threading.Event()
        self._busy, self._broken = busy, broken
        self._timer = self.create_timer(0.05, self._work)

    def _work(self):
        self.spun_on.append(threading.current_thread())
        if self._broken:
            raise SaraError('broken by a callback')
        if self._busy:
            self.release.wait()

    def halt(self):
        self.halted_on.append(threading.current_thread())

    def close(self):
        self.closed_on.append(threading.current_thread())
        self.release.set()


def run(monkeypatch, **options):
    """Run a node until it has spun, send SIGTERM, and return it and the exit code."""
    made = []

    def create():
        made.append(Closing(**options))
        return made[0]

    def terminate():
        until(lambda: made and made[0].spun_on)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=terminate, daemon=True).start()
    monkeypatch.setattr('sara_ros.nodes.process.CLOSE_TIMEOUT_SEC', 0.5)
    return run_node(create), made[0]


def test_a_node_is_closed_between_its_callbacks(monkeypatch):
    """It was once closed beside them, on the main thread, which raced with every callback."""
    code, node = run(monkeypatch)
    assert code == 0
    assert node.closed_on == node.spun_on[:1]


def test_a_callback_that_does_not_return_cannot_hold_up_the_end(monkeypatch):
    """Nor the robot's halt, which does not wait for it."""
    code, node = run(monkeypatch, busy=True)
    assert code == 0
    assert node.halted_on == [threading.main_thread()]
    assert threading.main_thread() in node.closed_on


def test_an_error_of_ours_in_a_callback_is_one_line(monkeypatch, capfd):
    """The node is closed all the same."""
    code, node = run(monkeypatch, broken=True)
    assert code == 2
    assert node.closed_on
    assert capfd.readouterr().err.strip().endswith('error: broken by a callback')


def test_a_signal_while_the_node_is_made_ends_it_afterwards():
    def create():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.05)
        return Closing()

    assert run_node(create) == 0


def test_a_model_that_cannot_be_loaded_leaves_the_node_unconfigured(tmp_path):
    """A process of its own: it says why, stays, and ends on SIGTERM with exit code 0."""
    log = tmp_path / 'policy.log'
    command = [sys.executable, '-m', 'sara_ros.nodes.policy', '--ros-args', '-p', 'model:=nosuch']
    with log.open('wb') as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        until(lambda: b'cannot configure' in log.read_bytes(), 'the log')
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()
    text = log.read_text()
    assert "model 'nosuch' not found in" in text
    assert 'Traceback' not in text
