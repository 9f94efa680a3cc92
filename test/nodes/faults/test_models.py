"""What breaks beside a model that drives at 20 Hz: other models, memory, the disk."""

from contextlib import suppress
import json
import os
from pathlib import Path
import pickle
import resource
import time

import numpy as np
from policies.small_models import make
import psutil
import pytest
from safetensors.torch import load_file, save_file

rclpy = pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402
from geometry_msgs.msg import PoseStamped  # noqa: E402
from nodes.cameras import Camera, picture, stamped  # noqa: E402
from nodes.faults.arm import PERIOD_NS, Process  # noqa: E402
from nodes.faults.marks import some_always  # noqa: E402
from nodes.host import until  # noqa: E402
from sensor_msgs.msg import Image, JointState  # noqa: E402

from sara_ros.evaluation.fault_report import periods_lost  # noqa: E402
from sara_ros.nodes import qos  # noqa: E402
from sara_ros.nodes.ros_time import to_ns  # noqa: E402
from sara_ros.nodes.state_codec import encode_joint_state, encode_pose  # noqa: E402
from sara_ros.policies import checkpoint as checkpoints  # noqa: E402
from sara_ros_msgs.msg import EndEffectorAction, SwapStatus  # noqa: E402
from sara_ros_msgs.srv import SwapModel  # noqa: E402

SPACE = '/models'
POSE = np.array([0.5, 0, 0.2, 0, 0, 0, 1], np.float32)
HEADROOM_BYTES = 48 * 2**20
JITTER_NS = PERIOD_NS // 2
"""Allowance for one late command: a longer gap than a period and this has missed a period."""
SWAPS, FEW_SWAPS = 100, 4
ENDED = (SwapStatus.ACTIVE, SwapStatus.ROLLED_BACK)
GROWTH = 1.05


def weights(folder):
    return folder / checkpoints.WEIGHTS_FILE


def corrupt(folder):
    with weights(folder).open('r+b') as file:
        file.seek(-64, os.SEEK_END)
        file.write(b'\x55' * 64)


def truncate(folder):
    os.truncate(weights(folder), weights(folder).stat().st_size // 2)


def cut_description(folder):
    path = folder / checkpoints.POLICY_FILE
    path.write_text(path.read_text()[:200])


def rename(folder):
    folder.rename(folder.with_name('elsewhere'))


def take_the_name(folder):
    make(folder.parent, 'pct', 'other')
    (folder.parent / 'other').rename(folder.with_name('renamed'))


def pickled(folder):
    weights(folder).write_bytes(pickle.dumps({'weights': [1.0, 2.0]}))


def rewritten(edit):
    def change(folder):
        tensors = load_file(weights(folder))
        edit(tensors)
        save_file(tensors, weights(folder))
        path = folder / checkpoints.POLICY_FILE
        data = json.loads(path.read_text())
        data['weights']['sha256'] = checkpoints.sha256_of(weights(folder))
        data['weights']['size_bytes'] = weights(folder).stat().st_size
        path.write_text(json.dumps(data))

    return change


def described(**changes):
    def change(folder):
        path = folder / checkpoints.POLICY_FILE
        data = json.loads(path.read_text())
        data['spec']['action'].update(changes)
        path.write_text(json.dumps(data))

    return change


def nan_in_weights(tensors):
    name = sorted(tensors)[0]
    tensors[name].view(-1)[0] = float('nan')


def scale(tensors):
    """Make another model of it that acts much like it."""
    for tensor in tensors.values():
        tensor *= 0.99


def drop_a_tensor(tensors):
    del tensors[sorted(tensors)[0]]


class Served:
    """A policy process that serves ``good`` from ``models`` at 20 Hz, and what it publishes."""

    def __init__(self, station, folder):
        station.namespace = SPACE
        self.station = station
        self.models = folder / 'models'
        make(self.models, 'rt2', 'good')
        self.actions = station.collect(EndEffectorAction, 'policy/action')
        self.swaps = station.collect(SwapStatus, 'policy/swap_status', qos.LATCHED)
        self.process = Process(
            folder / 'policy.log', 'policy', '-r', f'__ns:={SPACE}',
            model='good', models_dir=str(self.models), swap_trial_chunks=2,
            observation_timeout_sec=10.0, chunk_timeout_sec=10.0, startup_timeout_sec=20.0,
        )  # fmt: skip
        self.client = station.policy()
        self.client.wait(lambda status: status.state == 'active', 'the policy')
        self._sensors = [
            Camera(station.publisher(PoseStamped, 'ee_pose', qos.SENSOR), _pose),
            Camera(station.publisher(JointState, 'joint_states', qos.SENSOR), _finger),
            Camera(station.publisher(Image, 'image_raw', qos.SENSOR), lambda: stamped(picture())),
        ]
        for sensor in self._sensors:
            sensor.__enter__()
        self.client.send('reach the red block')
        until(lambda: len(self.actions) > 10, 'commands')

    def close(self):
        for sensor in self._sensors:
            sensor.__exit__()
        self.process.kill()

    def swap(self, model, node='policy'):
        """Return the answer of a swap."""
        request = SwapModel.Request(model_id=model)
        return self.station.call(SwapModel, f'{node}/swap_model', request)

    def reaches(self, node):
        """Tell whether ``node`` answers soon; an answer may be lost while both find each other."""
        client = self.station.node.create_client(
            SwapModel, self.station.in_namespace(f'{node}/swap_model')
        )
        answer = client.call_async(SwapModel.Request())
        with suppress(AssertionError):
            until(answer.done, node, timeout_sec=2.0)
        return answer.done() and bool(answer.result().state)

    def swap_for_good(self, model, node):
        """Swap through a service of ``node`` and return the state that it ends with."""
        before = len(self.swaps)
        answer = self.swap(model, node)
        if not answer.success:
            return answer.state
        last = until(
            lambda: [each for each in self.swaps[before:] if each.state in ENDED], 'the trial'
        )
        return last[-1].state

    def swaps_logged(self):
        """Return how many swaps the process's log tells of."""
        return self.process.log.read_text().count('swap active')

    def gaps_ns(self):
        """Return the times between commands, and forget these."""
        stamps = [to_ns(each.header.stamp) for each in self.actions]
        del self.actions[: len(stamps) - 1]
        return np.diff(stamps)

    def go_on(self):
        """Wait for some more commands, and return how many periods had none."""
        seen = len(self.actions)
        until(lambda: len(self.actions) > seen + 5, 'commands')
        stamps = [to_ns(each.header.stamp) for each in self.actions]
        del self.actions[: len(stamps) - 1]
        return periods_lost(stamps, PERIOD_NS)


def _pose():
    return encode_pose(POSE, stamp_ns=time.time_ns(), frame_id='base_link')


def _finger():
    values = np.array([0.02], np.float32)
    return encode_joint_state(('finger_joint',), values, stamp_ns=time.time_ns())


@pytest.fixture(scope='module')
def served(station, tmp_path_factory):
    serving = Served(station, tmp_path_factory.mktemp('served'))
    yield serving
    serving.close()
    station.namespace = ''


BAD_MODELS = {
    'corrupt weights': (corrupt, 'SHA-256'),
    'truncated weights': (truncate, 'bad'),
    'truncated policy.json': (cut_description, 'policy.json'),
    'a renamed model': (rename, 'not found'),
    'another model under this name': (take_the_name, ''),
    'pickled weights': (pickled, 'bad'),
    'weights with NaN': (rewritten(nan_in_weights), 'finite'),
    'weights that lack a tensor': (rewritten(drop_a_tensor), 'do not fit'),
    'another command rate': (described(rate_hz=50.0), 'rate_hz'),
    'another frame': (described(frame='tool'), 'frame'),
}


@pytest.mark.parametrize('name', some_always(BAD_MODELS, 'corrupt weights', 'another frame'))
def test_a_model_that_cannot_serve_is_refused(served, fault, name):
    spoil, text = BAD_MODELS[name]
    with fault(f'swap to {name}', 'refused with the reason, the old model goes on') as outcome:
        make(served.models, 'rt2', 'bad')
        spoil(served.models / 'bad')
        served.go_on()
        answer = served.swap('renamed' if spoil is take_the_name else 'bad')
        outcome.seen = f'{answer.state}: {answer.message}'
        outcome.commands_lost = served.go_on()
        assert not answer.success
        assert answer.state == 'refused'
        assert text in answer.message
        assert answer.active_model_id == 'good'
        assert served.process.alive


def test_no_memory_for_a_model(served, fault):
    """The process may take 48 MiB more than it has; the model alone needs 100 MiB."""
    with fault('out of memory at load', 'refused, the old model goes on') as outcome:
        make(served.models, 'rt2', 'huge', width=768)
        status = Path(f'/proc/{served.process.pid}/statm')
        size = int(status.read_text().split()[0]) * resource.getpagesize()
        limit = resource.prlimit(served.process.pid, resource.RLIMIT_AS)
        served.go_on()
        resource.prlimit(served.process.pid, resource.RLIMIT_AS, (size + HEADROOM_BYTES, limit[1]))
        answer = served.swap('huge')
        resource.prlimit(served.process.pid, resource.RLIMIT_AS, limit)
        outcome.seen = f'{answer.state}: {answer.message}'
        outcome.commands_lost = served.go_on()
        assert not answer.success
        assert answer.active_model_id == 'good'
        assert 'memory' in answer.message.lower()
        assert served.process.alive


@pytest.fixture
def manager(served, tmp_path):
    """Start a model manager over the models, which exports what it hears."""
    process = Process(
        tmp_path / 'manager.log', 'model_manager', '-r', f'__ns:={SPACE}',
        models_dir=str(served.models), export_dir=str(tmp_path / 'exports'),
        export_flush_sec=0.2,
    )  # fmt: skip
    try:
        until(lambda: served.reaches('model_manager'), 'the manager to find the policy')
        yield process
    finally:
        process.kill()


def test_a_few_swaps(served, fault):
    swap_often(served, fault, FEW_SWAPS, 'policy')


@pytest.mark.faults
@pytest.mark.slow
def test_many_swaps_through_the_manager(served, fault, manager):
    swap_often(served, fault, SWAPS, 'model_manager')


@pytest.mark.faults
@pytest.mark.slow
def test_a_full_disk_under_the_exporter(served, fault, manager, tmp_path, station):
    """No file of the manager's process may grow any more; then the disk is freed."""
    arrays = station.collect(DiagnosticArray, '/diagnostics')
    expected = 'a warning in /diagnostics, commands go on, nothing is lost once there is room'

    def export():
        """Return the newest status of the export."""
        own = [
            status for array in arrays for status in array.status
            if status.name == f'{SPACE}/model_manager: export'
        ]  # fmt: skip
        return own[-1] if own else DiagnosticStatus()

    def written():
        return int(next(each.value for each in export().values if each.key.startswith('csv wr')))

    with fault('a full disk under the exporter', expected) as outcome:
        until(lambda: export().message == 'writing' and written() > 0, 'the export')
        limit = resource.prlimit(manager.pid, resource.RLIMIT_FSIZE)
        sizes = [path.stat().st_size for path in (tmp_path / 'exports').rglob('*.*')]
        served.go_on()
        resource.prlimit(manager.pid, resource.RLIMIT_FSIZE, (max(sizes), limit[1]))
        warned = until(lambda: export().level == DiagnosticStatus.WARN and export(), 'a warning')
        time.sleep(1.0)
        assert manager.alive
        resource.prlimit(manager.pid, resource.RLIMIT_FSIZE, limit)
        before = written()
        until(lambda: export().level == DiagnosticStatus.OK and written() > before + 20, 'room')
        outcome.commands_lost = served.go_on()
        outcome.seen = f'WARN: {warned.message}; afterwards {export().message}'
        assert {each.value for each in export().values if 'lost' in each.key} == {'0'}


def swap_often(served, fault, count, node):
    """No command is missed, memory stays where it is, and the log holds every swap."""
    make(served.models, 'rt2', 'good')
    make(served.models, 'rt2', 'other')
    rewritten(scale)(served.models / 'other')
    expected = 'no missed command period, no memory growth above 5 % after the first ten'
    with fault(f'{count} swaps under a 20 Hz command stream', expected) as outcome:
        served.gaps_ns()
        memory, gaps_ns, slow = [], [], []
        logged = served.swaps_logged()
        while len(memory) < count:
            state = served.swap_for_good('good' if len(memory) % 2 else 'other', node)
            gaps_ns.extend(served.gaps_ns())
            if state == SwapStatus.ACTIVE:
                memory.append(psutil.Process(served.process.pid).memory_info().rss)
            else:
                slow.append(state)
                assert len(slow) <= count // 4 + 2, served.swaps[-1].message
        longest_ms = max(gaps_ns) / 1e6
        growth = memory[-1] / memory[min(10, count - 1)] - 1
        until(lambda: served.swaps_logged() >= logged + count, 'the log')
        logged = served.swaps_logged() - logged
        outcome.commands_lost = int(np.sum(np.array(gaps_ns) > PERIOD_NS + JITTER_NS))
        outcome.seen = (
            f'{len(gaps_ns)} commands, longest gap {longest_ms:.1f} ms, memory {growth:+.1%}, '
            f'{logged} swaps in the log, {len(slow)} more over the latency budget and undone'
        )
        assert 1 + growth <= GROWTH
        assert logged == count
