"""The model manager over real topics: what can be served, and its lifecycle."""

import time

from policies.small_models import make
import pytest

rclpy = pytest.importorskip('rclpy')

from nodes.host import ACTIVATE, CLEANUP, CONFIGURE, DEACTIVATE  # noqa: E402

from sara_ros_msgs.msg import TimingSummary  # noqa: E402
from sara_ros_msgs.srv import ListModels, VerifyModel  # noqa: E402

NODE = 'model_manager'


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    """Return a folder with two good models and three broken ones."""
    folder = tmp_path_factory.mktemp('models')
    for name, kind in (('cloudy', 'pct'), ('good', 'rt2'), ('changed', 'rt2'), ('odd', 'rt2')):
        make(folder, kind, name)
    weights = folder / 'changed' / 'weights.safetensors'
    weights.write_bytes(weights.read_bytes()[:-1] + b'\x55')
    policy = folder / 'odd' / 'policy.json'
    policy.write_text(policy.read_text().replace('"width": 32', '"width": "wide"'))
    (folder / 'empty').mkdir()
    return folder


def test_models_are_listed_with_what_is_wrong(manager, station, models):
    """The services answer in every state, so before any configuration too."""
    manager(models_dir=str(models))
    listed = {info.id: info for info in station.call(ListModels, f'{NODE}/list_models').models}
    assert list(listed) == ['changed', 'cloudy', 'empty', 'good', 'odd']
    good = listed['good']
    assert (good.kind, good.verified, good.error, good.horizon) == ('rt2', True, '', 1)
    assert good.observation_names == ['front', 'ee_pose', 'finger_joint']
    assert len(good.weights_sha256) == 64
    assert not listed['changed'].verified
    assert 'SHA-256' in listed['changed'].error
    assert 'policy.json' in listed['empty'].error


@pytest.mark.parametrize(
    ('model', 'text'),
    [
        ('changed', 'SHA-256'),
        ('empty', 'policy.json'),
        ('odd', 'width'),
        ('nosuch', "model 'nosuch' not found in"),
        ('../good', 'not a plain folder name'),
        ('', 'not a plain folder name'),
    ],
)
def test_broken_models_are_told_of(manager, station, models, model, text):
    manager(models_dir=str(models))
    answer = station.call(VerifyModel, f'{NODE}/verify_model', VerifyModel.Request(model_id=model))
    assert not answer.ok
    assert text in answer.message
    assert '\n' not in answer.message


@pytest.mark.parametrize('model', ['good', 'cloudy'])
def test_good_models_are_verified(manager, station, models, model):
    manager(models_dir=str(models))
    answer = station.call(VerifyModel, f'{NODE}/verify_model', VerifyModel.Request(model_id=model))
    assert (answer.ok, answer.info.verified, answer.info.id) == (True, True, model)
    assert 'one inference' in answer.message


def test_a_model_that_breaks_while_acting_does_not_end_the_node(
    manager, station, models, monkeypatch
):
    """Any error but ours once ended the process whose job it is to look at broken models."""
    manager(models_dir=str(models))
    monkeypatch.setattr('sara_ros.nodes.model_codec.warm_up', lambda *_, **__: 1 / 0)
    request = VerifyModel.Request(model_id='good')
    answer = station.call(VerifyModel, f'{NODE}/verify_model', request)
    assert not answer.ok
    assert 'ZeroDivisionError' in answer.message


def test_a_folder_that_is_not_there_is_named(manager, station):
    """It once counted as a folder without models; the service must answer all the same."""
    manager(models_dir='/nowhere')
    assert not station.transition(CONFIGURE, NODE)
    assert station.call(ListModels, f'{NODE}/list_models').models == []
    request = VerifyModel.Request(model_id='good')
    assert not station.call(VerifyModel, f'{NODE}/verify_model', request).ok


@pytest.fixture
def watching(manager, station, models):
    """Return an active manager's host with what it says and hears."""
    host = manager(models_dir=str(models))
    assert station.transition(CONFIGURE, NODE)
    assert station.transition(ACTIVATE, NODE)
    host.summaries = station.collect(TimingSummary, f'{NODE}/timing')
    return host


def test_lifecycle_again_and_again_leaves_nothing_behind(watching, station):
    node = watching.node

    def held():
        return (
            len(list(node.publishers)), len(list(node.subscriptions)), len(list(node.timers)),
            len(node._managed_entities),
        )  # fmt: skip

    before = held()
    for _ in range(3):
        for transition in (DEACTIVATE, CLEANUP, CONFIGURE, ACTIVATE):
            assert station.transition(transition, NODE)
    assert held() == before
    silent = station.transition(DEACTIVATE, NODE)
    assert silent
    time.sleep(0.2)
    count = len(watching.summaries)
    time.sleep(0.3)
    assert len(watching.summaries) == count


def test_an_activation_that_fails_leaves_the_node_inactive(manager, station, models):
    host = manager(models_dir=str(models), policy='bad name')
    assert station.transition(CONFIGURE, NODE)
    before = len(list(host.node.timers))
    assert not station.transition(ACTIVATE, NODE)
    assert host.node.state_label == 'inactive'
    assert len(list(host.node.timers)) == before
