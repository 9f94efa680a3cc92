"""``sara-ros dataset``, and ``sara-ros train`` on bags."""

import json
import os

from evaluation.dataset.test_convert import told
from evaluation.replay.bags import arm_messages, write_bag
import pytest

from sara_ros.cli.main import main
from sara_ros.training.lerobot import LeRobotRecording


def test_a_bag_becomes_a_data_set(tmp_path, capsys):
    """The table says what became of every picture."""
    bag, out = write_bag(tmp_path / 'arm', arm_messages()), tmp_path / 'set'
    assert main(['dataset', str(bag), '--out', str(out), '--instruction', 'move']) == 0
    printed = capsys.readouterr().out
    assert ' '.join(printed.split()).find('arm 1 20 20 0 0 0 0 20.0') > 0
    assert f'data set: {out}' in printed
    assert LeRobotRecording(out).episode(0).instruction == 'move'
    assert main(['dataset', str(out), '--out', str(tmp_path / 'again')]) == 1
    assert 'set is a LeRobot folder already' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--fps', '-1'), '--fps is -1'),
        (('--camera', '/side'), "camera '/side' is not there; image topics: /image_raw"),
        (('--map', 'missing.yaml'), 'cannot read the map missing.yaml'),
        ((), 'arm does not say what was to be done; give --instruction'),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path, capsys, arguments, message):
    bag = write_bag(tmp_path / 'arm', arm_messages())
    assert main(['dataset', str(bag), '--out', str(tmp_path / 'set'), *arguments]) == 1
    printed = capsys.readouterr().err
    assert message in printed
    assert 'Traceback' not in printed
    assert not (tmp_path / 'set').exists()


def test_a_model_is_trained_on_a_bag(tmp_path, capsys):
    """The data set below the work folder is used again until the bag or an option changes."""
    bag = write_bag(tmp_path / 'session', told((0, 'reach'), (20, 'lift')))

    def train(*more):
        arguments = ['train', 'rt2-g1', '--data', str(bag), '--models', str(tmp_path / 'models'),
                     '--model-id', 'mine', '--steps', '1', '--threads', '1', '--work',
                     str(tmp_path / 'work'), *more]  # fmt: skip
        assert main(arguments) == 0
        return capsys.readouterr().out

    first = train()
    assert 'mean absolute error on 20 held-out frames' in first
    assert 'copy previous action' in first
    (folder,) = (tmp_path / 'work' / 'data').iterdir()
    assert folder.name.startswith('session-')
    policy = json.loads((tmp_path / 'models' / 'mine' / 'policy.json').read_text())
    assert policy['spec']['instructions'] == ['reach']
    assert policy['training']['recording'] == folder.name
    assert f'{folder}, made before of the same bags' in train()
    os.utime(next(bag.iterdir()), (1, 1))
    train()
    assert len(list((tmp_path / 'work' / 'data').iterdir())) == 2


def test_recordings_that_cannot_be_trained_on(tmp_path, capsys):
    """Said before anything is made."""
    bag = write_bag(tmp_path / 'arm', arm_messages())
    (tmp_path / 'set' / 'meta').mkdir(parents=True)
    (tmp_path / 'set' / 'meta' / 'info.json').write_text('{}')
    for recipe, data, message in (
        ('rt2-g1', ['nowhere'], 'nowhere does not exist'),
        ('rt2-g1', [bag, tmp_path / 'set'], 'set is a LeRobot folder; name one folder, or bags'),
        ('rt2-tabletop', [bag], "recipe 'rt2-tabletop' is not trained on a recording"),
    ):
        arguments = ['train', recipe, '--models', tmp_path / 'm', '--work', tmp_path / 'w']
        assert main([*map(str, arguments), '--data', *map(str, data)]) == 1
        assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ['arm', 'set']
