"""Every variant learns a handful of frames, and is served as it was trained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sara_ros.core import CheckpointError, ParameterError
from sara_ros.policies import checkpoint as checkpoints
from sara_ros.policies import load_policy
from sara_ros.policies.checkpoint import Checkpoint
from sara_ros.policies.pct import PCTPolicy
from sara_ros.policies.pct_config import Stage
from sara_ros.policies.rt2 import RT2Policy
from sara_ros.policies.rt2_config import View
from sara_ros.policies.rt2_network import RT2Network
from sara_ros.sim.action_space import tabletop_action
from sara_ros.sim.cameras import CameraRig
from sara_ros.sim.scene import COLORS
from sara_ros.sim.tasks import TASKS
from sara_ros.sim.world import TabletopWorld
from sara_ros.training.capture import Capture, capture, require_fit
from sara_ros.training.collect import CollectConfig, collect_shard
from sara_ros.training.dagger import observation_of
from sara_ros.training.frames import load_frames
from sara_ros.training.pct_tabletop import grasp_loss, pct_config
from sara_ros.training.recipes import RECIPES, VARIANTS, recipe_config
from sara_ros.training.rt2_tabletop import tabletop_config
from sara_ros.training.tabletop import TabletopConfig, capture_of, learner_of, spec_of
from sara_ros.training.warm_start import warm_start

VIEWS = (View('front', 24, 32, 8),)
SMALL = replace(
    tabletop_config(), views=VIEWS, width=32, heads=2, encoder_layers=1, decoder_layers=2
)
RT2 = {
    'history': {'history': 3, 'frame_spacing_sec': 0.1, 'history_layers': 1},
    'vector': {'coding': 'vector', 'actions': 24},
    'chunk': {'generation': 'parallel', 'actions': 32},
    'fine': {'views': (replace(VIEWS[0], overlap=2),)},
}
POINTS = replace(
    pct_config(), points=96, width=32, layers=2, head_width=32, head_layers=1, pointers=2
)
PCT = {
    'grouped': {'grouping': (Stage(48, 8), Stage(24, 4))},
    'grasp': {'grasp_symmetry': 4},
}
ROWS = np.array([2, 5, 8, 11])


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run_of(network, **changes):
    """Return a run that trains ``network``."""
    kind = 'pct' if hasattr(network, 'cloud') else 'rt2'
    values = {'models_dir': Path('models'), 'work': Path('work'), **changes}
    return TabletopConfig('toy', kind, **values, network=network)


def collected(folder, learner):
    """Collect a few frames of one scene for ``learner``."""
    collect_shard(CollectConfig(folder, shard=14, capture=capture_of(learner)), 1)
    return load_frames(folder)


def learn(learner, frames, tasks, steps, rate=6e-3):
    """Take steps on the same four frames; return the last losses."""
    optimiser = torch.optim.AdamW(learner.parameters(), rate)
    for _ in range(steps):
        parts = learner.losses(frames, ROWS, tasks, np.random.default_rng(0))
        optimiser.zero_grad()
        parts['loss'].backward()
        optimiser.step()
    return {name: float(value.detach()) for name, value in parts.items()}


def share_of_range(learner, frames, tasks):
    """Return the mean error of decoded chunks in shares of the range, where they are known."""
    learner.eval()
    policy = RT2Policy(spec_of(run_of(learner.network.config)), learner.network)
    batch = learner.batch(frames, ROWS)
    wanted, known = learner.labels(batch, tasks)
    with torch.inference_mode():
        made = learner.network.generate(
            learner.images(batch), batch['state'], learner.words[tasks[:, 0], 0]
        )
    errors = (policy._tokens.decode(made.tokens) - wanted[:, 0]).abs()
    action = tabletop_action()
    shares = errors / torch.from_numpy(action.high - action.low)
    return float(shares.mean() if known is None else shares[known[:, 0]].mean())


@pytest.mark.parametrize('name', ['history', 'vector', 'chunk'])
def test_rt2_learns_a_handful_of_frames(tmp_path, name):
    """Decoded from its tokens, chunks come close to those of the expert."""
    torch.manual_seed(0)
    learner = learner_of(replace(SMALL, **RT2[name]))
    frames = collected(tmp_path, learner)
    tasks = torch.from_numpy(frames['task'][ROWS])[:, None]
    before = share_of_range(learner, frames, tasks)
    learn(learner, frames, tasks, 50)
    assert share_of_range(learner, frames, tasks) < 0.4 * before


def test_tokens_to_read_are_scattered(tmp_path, monkeypatch):
    """By some bins, the same for a frame whatever it shares a batch with, unless exact."""
    learner = learner_of(SMALL)
    frames = collected(tmp_path, learner)
    tasks = torch.from_numpy(frames['task'][ROWS])[:, None]
    read, real = [], learner.network.teach
    monkeypatch.setattr(
        learner.network, 'teach', lambda *inputs: (read.append(inputs[-1]), real(*inputs))[1]
    )
    losses = [learner.losses(frames, ROWS, tasks, np.random.default_rng(0))]
    learner.losses(frames, ROWS[2:], tasks[2:], np.random.default_rng(0))
    learner.exact = True
    losses.append(learner.losses(frames, ROWS, tasks, np.random.default_rng(0)))
    scattered, part, exact = read
    gap = (scattered - exact).abs()
    assert 0 < gap.float().mean() < 3
    assert gap.max() < 12
    assert scattered.min() >= 0
    assert scattered.max() <= 255
    assert torch.equal(part, scattered[2:])
    assert losses[0]['loss'] != losses[1]['loss']


@pytest.mark.parametrize('name', RT2)
def test_losses_are_finite_for_several_instructions(tmp_path, name):
    """What is not known about other instructions has no influence."""
    torch.manual_seed(0)
    learner = learner_of(replace(SMALL, **RT2[name]))
    frames = collected(tmp_path, learner)
    tasks = torch.tensor([[int(task), 3, 12] for task in frames['task'][ROWS]])
    parts = learner.losses(frames, ROWS, tasks, np.random.default_rng(0))
    assert all(value.isfinite() for value in parts.values())
    parts['loss'].backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in learner.parameters())


def test_labels_to_come_are_those_of_the_main_task(tmp_path):
    """Of other tasks, and behind the end, only the present step is known."""
    learner = learner_of(replace(SMALL, **RT2['chunk']))
    frames = collected(tmp_path, learner)
    main = int(frames['task'][5])
    tasks = torch.tensor([[main, (main + 1) % 16]])
    labels, known = learner.labels(learner.batch(frames, [5]), tasks)
    assert labels.shape == (1, 2, 4, 8)
    assert known.tolist() == [[[True] * 4, [True, False, False, False]]]
    for step in range(4):
        np.testing.assert_array_equal(labels[0, 0, step], frames['labels'][5 + step, main])


def test_steps_that_are_not_known_do_not_count(tmp_path):
    """Other labels in their place give the same loss; other labels of known steps do not."""
    torch.manual_seed(0)
    learner = learner_of(replace(SMALL, **RT2['chunk']))
    labels = torch.rand(2, 3, 4, 8) * 0.02
    known = torch.rand(2, 3, 4) > 0.5
    known[..., 0] = True
    logits = torch.randn(2, 3, 32, 256)
    first = learner.action_losses(logits, labels, known)
    hidden = torch.where(known[..., None], labels, -labels)
    shown = torch.where(known[..., None], -labels, labels)
    assert learner.action_losses(logits, hidden, known) == first
    assert learner.action_losses(logits, shown, known) != first


@pytest.mark.parametrize('name', PCT)
def test_pct_learns_a_handful_of_frames(tmp_path, name):
    """Motions, and with the head the grasp, are those of the expert."""
    torch.manual_seed(0)
    learner = learner_of(replace(POINTS, **PCT[name]))
    frames = collected(tmp_path, learner)
    tasks = torch.from_numpy(frames['task'][ROWS])[:, None]
    before = learn(learner, frames, tasks, 1)
    after = learn(learner, frames, tasks, 50)
    assert after['motion'] < 0.3 * before['motion']
    if name != 'grasp':
        return
    assert after['grasp'] < 0.2 * before['grasp']
    policy = PCTPolicy(spec_of(run_of(learner.network.config)), learner.network)
    row = {key: value[ROWS[0]] for key, value in frames.items()}
    # The network keeps to the statistics of its four clouds: batches of one are served later.
    task = TASKS[int(row['task'])]
    grasp = policy.act(observation_of(row, task.instruction)).extras['grasp']
    assert np.isfinite(grasp).all()


def test_grasps_are_where_the_expert_closes(tmp_path):
    """The label is the gripper around the block: tips below its middle, along its faces."""
    world = TabletopWorld()
    world.reset(4)
    wanted = Capture(images=False, points=replace(POINTS, grasp_symmetry=4))
    with CameraRig(world.model) as rig:
        row = capture(world, rig, 0, wanted)
    assert row['grasps'].shape == (4, 7)
    for index, color in enumerate(COLORS):
        block = world.state.objects[color]
        tips = row['grasps'][index, :3] - block.position
        np.testing.assert_allclose(tips, [0, 0, -0.012], atol=1e-6)
        np.testing.assert_allclose(row['grasps'][index, 3:], [0, 0, -1, block.yaw_rad], atol=1e-6)


def test_grasp_loss_is_zero_for_the_label():
    """It is so at each quarter of a turn, and grows with every part of the error."""
    wanted = torch.tensor([0.4, 0.1, 0.01, 0, 0, -1, 0.5])

    def predicted(roll, **changes):
        values = {'x': 0.4, 'z': -1.0, **changes}
        turns = torch.tensor(4 * roll)
        return torch.tensor([values['x'], 0.1, 0.01, 0, 0, values['z'], turns.sin(), turns.cos()])

    assert grasp_loss(predicted(0.5), wanted, 4) < 1e-6
    assert grasp_loss(predicted(0.5 + np.pi / 2), wanted, 4) < 1e-6
    assert grasp_loss(predicted(0.9), wanted, 4) > 0.5
    assert grasp_loss(predicted(0.5, x=0.42), wanted, 4) > 0.1
    assert grasp_loss(predicted(0.5, z=1.0), wanted, 4) > 1


@pytest.mark.parametrize('name', [*RT2, *PCT])
def test_a_saved_variant_acts(tmp_path, name):
    """What training writes states its history and horizon, loads, and acts in closed loop."""
    network = replace(SMALL, **RT2[name]) if name in RT2 else replace(POINTS, **PCT[name])
    run = run_of(network, models_dir=tmp_path)
    learner = learner_of(network)
    checkpoint = Checkpoint(spec_of(run), network.to_dict())
    checkpoints.save(tmp_path, checkpoint, learner.network.state_dict())
    policy = load_policy(tmp_path, 'toy')
    assert policy.spec.history == (3 if name == 'history' else 1)
    assert policy.spec.action.horizon == (4 if name == 'chunk' else 1)
    world = TabletopWorld()
    state = world.reset(1)
    with CameraRig(world.model) as rig:
        for _ in range(3):
            row = capture(world, rig, 0, capture_of(learner))
            chunk = policy.act(observation_of(row, TASKS[0].instruction))
            state = world.step(chunk.values[0])
    assert np.isfinite(state.ee.position).all()


def parent(tmp_path, network=SMALL):
    """Write a model to begin from."""
    torch.manual_seed(5)
    learner = learner_of(network)
    checkpoints.round_as_stored(learner.network)
    run = replace(run_of(network), model_id='parent')
    checkpoint = Checkpoint(spec_of(run), network.to_dict())
    checkpoints.save(tmp_path, checkpoint, learner.network.state_dict())
    return learner.network.eval()


def test_warm_start_of_history_goes_on_as_it_was(tmp_path):
    """Three equal frames give what one gave: the new layers begin as the identity."""
    before = parent(tmp_path)
    network = RT2Network(replace(SMALL, **RT2['history']), 'softmax', {}).eval()
    begun = warm_start(network, tmp_path, 'parent')
    assert begun.parent['model_id'] == 'parent'
    assert all(name == 'frame' or name.startswith('history_encoder') for name in begun.fresh)
    image = torch.randint(0, 255, (1, 24, 32, 3), dtype=torch.uint8)
    state, words = torch.randn(1, 8), torch.ones(1, 8, dtype=torch.long)
    one = before.generate([image], state, words)
    three = network.generate([image[:, None].expand(-1, 3, -1, -1, -1)], state, words)
    assert torch.equal(one.tokens, three.tokens)
    torch.testing.assert_close(one.probabilities, three.probabilities, rtol=1e-3, atol=1e-6)


def test_warm_start_interpolates_positions(tmp_path):
    """A finer grid takes all weights; its positions lie between those of the coarse one."""
    before = parent(tmp_path)
    network = RT2Network(replace(SMALL, **RT2['fine']), 'softmax', {})
    assert warm_start(network, tmp_path, 'parent').fresh == ()
    coarse = before.stems[0].position.reshape(3, 4, 32)
    fine = network.stems[0].position.reshape(6, 8, 32)
    torch.testing.assert_close(fine[0, 0], coarse[0, 0])
    torch.testing.assert_close(
        fine[1, 1],
        (9 * coarse[0, 0] + 3 * coarse[0, 1] + 3 * coarse[1, 0] + coarse[1, 1]) / 16,
    )


def test_warm_start_finds_words_and_leaves_another_coding(tmp_path):
    """Words keep their meaning in another vocabulary; digits have nothing to take."""
    before = parent(tmp_path)
    words = ('<pad>', '<unk>', 'zebra', *SMALL.vocabulary[2:])
    network = RT2Network(replace(SMALL, **RT2['vector'], vocabulary=words), 'softmax', {})
    begun = warm_start(network, tmp_path, 'parent')
    assert set(begun.fresh) == {'tokens.weight', 'head.weight', 'head.bias'}
    red = SMALL.vocabulary.index('red')
    torch.testing.assert_close(network.words.weight[red + 1], before.words.weight[red])
    torch.testing.assert_close(network.position[:, :, :17], before.position)


def test_warm_start_refuses(tmp_path):
    """Models of another width or kind have nothing to give."""
    parent(tmp_path)
    wide = RT2Network(replace(SMALL, width=64), 'softmax', {})
    with pytest.raises(ParameterError, match="'parent' of another width"):
        warm_start(wide, tmp_path, 'parent')
    with pytest.raises(ParameterError, match='a RT2Network; this run trains a PCTNetwork'):
        warm_start(learner_of(POINTS).network, tmp_path, 'parent')
    with pytest.raises(CheckpointError, match="'other' not found"):
        warm_start(wide, tmp_path, 'other')


@pytest.mark.parametrize('recipe', sorted(VARIANTS))
def test_recipes_of_variants(tmp_path, recipe):
    """Each names a network that builds, whose spec fits, and frames that can be drawn."""
    config = recipe_config(recipe, model_id=recipe, models_dir=tmp_path, work=tmp_path)
    base = recipe_config(
        f'{config.kind}-tabletop-standard', model_id='a', models_dir=tmp_path, work=tmp_path,
    )  # fmt: skip
    assert config.recipe == base.recipe or config.warm_start
    learner = learner_of(config.architecture)
    wanted, world, network = capture_of(learner), TabletopWorld(), learner.network
    with CameraRig(world.model) as rig:
        row = capture(world, rig, 0, wanted)
    require_fit({name: np.asarray(value)[None] for name, value in row.items()}, wanted, tmp_path)
    policy = (RT2Policy if config.kind == 'rt2' else PCTPolicy)(spec_of(config), network)
    assert policy.spec.model_id == recipe
    assert recipe in RECIPES


def test_sizes_of_the_recipes(tmp_path):
    """Where linear attention pays: 372 and 784 image tokens, 2048 and 4096 points."""
    configs = {
        name: recipe_config(name, model_id=name, models_dir=tmp_path, work=tmp_path).architecture
        for name in VARIANTS
    }
    assert configs['rt2-tabletop-784'].image_tokens == 784
    history = configs['rt2-tabletop-history']
    assert history.history * history.image_tokens == 372
    assert [configs[f'pct-tabletop-{n}'].points for n in (800, 2048, 4096)] == [800, 2048, 4096]
