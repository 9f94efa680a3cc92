"""``sara-ros replay``: recordings in, table, files and exit code out."""

import html
from importlib.util import find_spec
import json
from pathlib import Path
import shutil

from evaluation.replay.bags import IMAGE, JOINT_STATE, MAKER, MS, START_NS, write_bag
import numpy as np
import pytest

from sara_ros.cli.main import main
from sara_ros.core.resources import package_folder
from sara_ros.policies.checkpoint import read

DATA = Path(__file__).parents[3] / 'shared' / 'data'
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason='../shared/data is not here')
MODEL = 'rt2-g1'
pytestmark = pytest.mark.skipif(
    not (package_folder('models') / MODEL).is_dir(), reason=f'models/{MODEL} is not here'
)


def robot_messages(count=6):
    """Return frames of a robot as rt2-g1 knows it, whose actions are its states."""
    spec = read(package_folder('models'), MODEL).checkpoint.spec
    names = spec.action.names
    middle = (spec.action.low + spec.action.high) / 2
    rows = []
    for row in range(count):
        stamp_ns = START_NS + row * 33 * MS
        state = MAKER.joints(stamp_ns, middle, names)
        picture = np.random.default_rng(row).integers(0, 256, 72 * 96 * 3, np.uint8)
        rows += [
            ('/joint_states', JOINT_STATE, stamp_ns, state),
            ('/action', JOINT_STATE, stamp_ns, state),
            ('/image_raw', IMAGE, stamp_ns + MS,
             MAKER.image(stamp_ns, height=72, width=96, data=picture)),
        ]  # fmt: skip
    return rows


@pytest.fixture(scope='module')
def robot_bag(tmp_path_factory):
    """Write six frames of that robot."""
    return write_bag(tmp_path_factory.mktemp('bags') / 'robot', robot_messages())


def run(*arguments):
    """Return the exit code of the command."""
    return main(['replay', *map(str, arguments)])


def without_measured(path):
    """Return a report without what differs from run to run."""
    report = json.loads(path.read_text())
    del report['machine'], report['command']
    for result in report['results']:
        del result['measured']
        result.pop('predictions', None)
    return report


def test_two_backends_side_by_side_with_every_output(robot_bag, tmp_path, capsys):
    code = run(
        robot_bag, '--model', MODEL, '--against', f'{MODEL}@sara', '--json', tmp_path / 'a.json',
        '--html', tmp_path / 'a.html', '--mcap', tmp_path / 'mcap', '--latency-ms', '20',
    )  # fmt: skip
    assert code == 0
    report = json.loads((tmp_path / 'a.json').read_text())
    assert [each['model']['name'] for each in report['results']] == [MODEL, f'{MODEL}@sara']
    assert [each['model']['attention_backend'] for each in report['results']] == [
        'softmax',
        'sara',
    ]
    first = report['results'][0]
    assert first['observations'] == 6
    assert first['error']['mean_absolute']['copy_state'] == pytest.approx(0, abs=1e-6)
    assert first['measured']['stages_ms']['inference']['p50'] > 0
    assert first['measured']['deadline']['rate_hz'] == 30.0
    assert first['model']['attention_backend'] == 'softmax'
    assert sorted(path.name for path in (tmp_path / 'mcap').iterdir()) == [
        'robot.rt2-g1.mcap', 'robot.rt2-g1@sara.mcap',
    ]  # fmt: skip
    assert 'Every moment' in (tmp_path / 'a.html').read_text()
    assert 'Open-loop error is not success' in capsys.readouterr().out


def test_several_processes_tell_the_same_as_one(robot_bag, tmp_path):
    common = (robot_bag, '--model', MODEL, '--against', f'{MODEL}@sara', '--json')
    assert run(*common, tmp_path / 'one.json') == 0
    assert run(*common, tmp_path / 'two.json', '--workers', '2') == 0
    assert without_measured(tmp_path / 'one.json') == without_measured(tmp_path / 'two.json')


@pytest.mark.skipif(find_spec('ray') is None, reason='pip install -r requirements/ray.txt')
def test_a_cluster_tells_the_same_as_one_process(robot_bag, tmp_path, capsys):
    """On a Ray instance of this machine, which is gone afterwards; Ray is not imported before."""
    common = (robot_bag, '--model', MODEL, '--against', f'{MODEL}@sara', '--json')
    assert run(*common, tmp_path / 'one.json') == 0
    assert run(*common, tmp_path / 'ray.json', '--cluster', 'local') == 0
    assert without_measured(tmp_path / 'one.json') == without_measured(tmp_path / 'ray.json')
    assert run(robot_bag, '--model', 'no-such', '--cluster', 'local') == 1
    assert run(robot_bag, '--model', MODEL, '--cluster', 'local', '--threads', '999') == 1
    said = capsys.readouterr().err
    assert 'no-such' in said
    assert 'a replay needs 999 CPU (--threads, --device), and no machine has more than' in said
    assert 'Traceback' not in said


@pytest.mark.skipif(find_spec('ray') is not None, reason='Ray is installed')
def test_without_ray_a_cluster_says_how_to_get_it(robot_bag, capsys):
    assert run(robot_bag, '--model', MODEL, '--cluster', 'local') == 1
    assert '--cluster needs Ray: pip install -r requirements/ray.txt' in capsys.readouterr().err


def test_limits_decide_the_exit_code(robot_bag, capsys):
    assert run(robot_bag, '--model', MODEL, '--max-error', '1', '--max-p95-ms', '1e6') == 0
    assert run(robot_bag, '--model', MODEL, '--max-error', '1e-9') == 1
    assert 'mean absolute error is' in capsys.readouterr().err
    assert run(robot_bag, '--model', MODEL, '--max-p95-ms', '1e-9') == 1
    assert 'p95 of the policy is' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        (('--model', 'no-such'), 'no-such'),
        (('--model', f'{MODEL}@no-such'), 'no-such'),
        (('--model', '@sara'), 'does not read MODEL or MODEL@BACKEND'),
        (('--model', MODEL, '--topic', 'front'), "--topic 'front' does not read NAME=TOPIC"),
        (('--model', MODEL, '--topic', 'front=/x'), "there is no topic '/x'"),
        (('--model', MODEL, '--workers', '0'), '--workers is 0'),
        (('--model', MODEL, '--against', MODEL), f"two models are called '{MODEL}'"),
        (('nowhere/other', '--model', MODEL), 'nowhere/other does not exist'),
        (('--model', MODEL, '--latency-ms', 'nan'), '--latency-ms is nan'),
        (('--model', MODEL, '--latency-ms', 'inf'), '--latency-ms is inf'),
        (('--model', MODEL, '--max-error', 'nan'), '--max-error is nan'),
        (('--model', MODEL, '--threads', '100000'), '--threads is 100000; it must be from 1 to'),
        (('--model', MODEL, '--topic', 'frnt=/x'), "topics: no model observes 'frnt'; known: fr"),
        (('--model', MODEL, '--device', 'tpu'), f"'{MODEL}' cannot be served on --device tpu"),
        (('--model', MODEL, '--json', '.'), '--json . is a folder'),
        (('--model', MODEL, '--html', '/dev/null/page.html'), '--html: nothing can be written'),
        (('--model', MODEL, '--mcap', __file__), 'nothing can be written to'),
        (('--model', MODEL, '--episodes', '3'), 'goes with LeRobot folders'),
        (('--model', MODEL, '--map', 'missing.yaml'), 'cannot read the map missing.yaml'),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_line(robot_bag, capsys, arguments, text):
    assert run(robot_bag, *arguments) == 1
    printed = capsys.readouterr().err
    assert text in printed
    assert 'Traceback' not in printed
    assert printed.count('\n') == 1


def test_a_recording_that_is_not_there_is_named(capsys):
    assert run('nowhere.mcap', '--model', MODEL) == 1
    assert 'sara-ros replay: nowhere.mcap does not exist' in capsys.readouterr().err


def test_drops_and_the_origin_of_the_mean_are_said_below_the_table(tmp_path, capsys):
    """Both stood in the files only, and a check list tells to abort on drops."""
    rows = [
        row
        for row in robot_messages(12)
        if row[0] != '/joint_states' or row[2] < START_NS + 60 * MS
    ]
    rows.append(('/image_raw', IMAGE, rows[-1][2], MAKER.image(0)))
    bag = write_bag(tmp_path / 'half', rows)
    assert run(bag, '--model', MODEL, '--latency-ms', '40') == 0
    lines = capsys.readouterr().out.splitlines()
    (said,) = [line for line in lines if 'dropped' in line]
    assert said == (
        f'half, {MODEL}: dropped: 4 missing_joint_positions (/joint_states), 2 superseded '
        '(/image_raw), 1 zero_stamp (/image_raw)'
    )
    assert (
        "half: training_mean is the mean of this very recording: 'rt2-g1' was trained on another "
        'one, g1_bottle'
    ) in lines


def test_a_recording_that_fails_leaves_the_others_their_results(robot_bag, tmp_path, capsys):
    """There was no table and no file, and only the first failure was named."""
    (tmp_path / 'set' / 'meta').mkdir(parents=True)
    (tmp_path / 'set' / 'meta' / 'info.json').write_text('{')
    (tmp_path / 'silent.mcap').write_bytes(b'nothing')
    bad = (tmp_path / 'silent.mcap', tmp_path / 'set')
    files = {name: tmp_path / f'report.{name}' for name in ('json', 'html')}
    options = [item for name, path in files.items() for item in (f'--{name}', path)]
    assert run(bad[0], robot_bag, bad[1], '--model', MODEL, *options) == 1
    printed, report = capsys.readouterr(), json.loads(files['json'].read_text())
    assert [each['bag']['name'] for each in report['results']] == ['robot']
    failed = {each['bag']: each['reason'] for each in report['failures']}
    assert failed.keys() == {'set', 'silent.mcap'}
    page = html.unescape(files['html'].read_text())
    for bag, reason in failed.items():
        assert reason in printed.err
        assert f'no result: {bag}' in page
        assert reason in page
    assert printed.err.count('\n') == 2
    assert printed.out.count('robot') >= 1
    assert run(*bad, '--model', MODEL) == 1
    assert capsys.readouterr().err == printed.err


@needs_data
def test_a_real_bag_without_a_camera_says_so(capsys):
    assert run(DATA / 'bags' / 'ur3_move', '--model', MODEL) == 1
    assert "ur3_move: observation 'front' (image)" in capsys.readouterr().err


@needs_data
def test_a_real_bag_that_is_too_old_for_its_own_stamps(capsys):
    """One picture, and joints that are not there: nothing to act on, and no traceback."""
    assert run(DATA / 'bags' / 'phone_sample', '--model', MODEL) == 1
    assert 'phone_sample: observation' in capsys.readouterr().err


@needs_data
def test_a_real_robot(tmp_path):
    """An episode that was held out; the numbers are those of the model card's kind."""
    path = tmp_path / 'g1.json'
    code = run(DATA / 'g1_bottle', '--episodes', '10', '--model', MODEL, '--json', path)
    assert code == 0
    (result,) = json.loads(path.read_text())['results']
    assert result['bag']['name'] == 'g1_bottle#10'
    assert result['error']['compared'] == result['observations'] == 290
    means = result['error']['mean_absolute']
    assert means['copy_previous_action'] == pytest.approx(0.00186, abs=1e-4)
    assert means['policy'] < means['training_mean'] / 3
    assert result['training_mean_from'] == 'the training episodes that are here'


@pytest.mark.slow
def test_the_live_graph_chooses_the_same_actions_to_the_last_bit(tmp_path):
    """
    What differs is said to, with the reason; nothing may differ without one.

    A busy machine may be late for a second of it.
    """
    pytest.importorskip('rclpy')
    path, count = tmp_path / 'live.json', 60
    bag = write_bag(tmp_path / 'robot', robot_messages(count))
    assert run(bag, '--model', MODEL, '--live', '--json', path) == 0
    report = json.loads(path.read_text())
    (live,) = report['live']
    assert live['equal'] + live['different'] + live['only_bag_time'] == count
    assert live['equal'] >= 1
    assert live['different'] == live['only_live'] == 0
    assert bool(live['notes']) == (live['equal'] < count)


def test_a_gap_that_nobody_would_wait_for_is_not_played_live(tmp_path, capsys):
    pytest.importorskip('rclpy')
    spec = read(package_folder('models'), MODEL).checkpoint.spec
    year_ns = 365 * 24 * 3600 * 10**9
    rows = [
        row
        for stamp_ns in (START_NS, START_NS + year_ns)
        for row in (
            ('/joint_states', JOINT_STATE, stamp_ns,
             MAKER.joints(stamp_ns, spec.action.low, spec.action.names)),
            ('/image_raw', IMAGE, stamp_ns + MS, MAKER.image(stamp_ns)),
        )
    ]  # fmt: skip
    bag, path = write_bag(tmp_path / 'gap', rows), tmp_path / 'gap.json'
    assert run(bag, '--model', MODEL, '--live', '--json', path) == 1
    report = json.loads(path.read_text())
    assert len(report['results']) == len(report['failures']) == 1
    assert report['live'] == []
    assert 'gap spans 31536000 s, and --live plays it in real time' in capsys.readouterr().err


def test_recordings_of_the_same_name_would_be_one_in_a_report(robot_bag, tmp_path, capsys):
    shutil.copytree(robot_bag, tmp_path / 'robot')
    assert run(robot_bag, tmp_path / 'robot', '--model', MODEL) == 1
    assert "two recordings are called 'robot'" in capsys.readouterr().err
