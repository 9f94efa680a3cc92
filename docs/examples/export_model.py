"""Write a network of yours as a model folder, load it as the policy node does, and act once."""

from pathlib import Path
import sys

import torch

from sara_ros.core import ActionDimension, ActionSpec, ObservationSpec, PolicySpec
from sara_ros.core.spec import END_EFFECTOR_DIMENSIONS
from sara_ros.policies import checkpoint
from sara_ros.policies.checkpoint import Checkpoint
from sara_ros.policies.loading import build_network, load_policy, synthetic_observation
from sara_ros.policies.rt2_config import RT2Config, StateInput, View
from sara_ros.policies.words import Vocabulary

MODEL_ID = 'my-arm'
INSTRUCTIONS = ('pick up the cup', 'put the cup on the shelf')
HORIZON = 4


def dimension(name):
    """Return the range of one number of an action: m, rad, or 0 to 1."""
    if name in ('terminate', 'gripper_opening'):
        return ActionDimension(name, '', 0.0, 1.0)
    step = 0.15 if name.startswith('r') else 0.03
    return ActionDimension(name, 'rad' if name.startswith('r') else 'm', -step, step)


spec = PolicySpec(
    model_id=MODEL_ID,
    kind='rt2',
    observations=(
        ObservationSpec('front', 'image', (None, None, 3), 'rgb8', max_age_sec=0.2),
        ObservationSpec('ee_pose', 'pose', (7,), 'm', 'base_link', max_age_sec=0.2),
    ),
    action=ActionSpec(
        'end_effector_delta',
        tuple(dimension(name) for name in END_EFFECTOR_DIMENSIONS),
        frame='base_link',
        rate_hz=20.0,
        horizon=HORIZON,
    ),
    attention={'backend': 'softmax', 'options': {}},
    instructions=INSTRUCTIONS,
)
model = RT2Config(
    views=(View('front', height=72, width=96, patch=8),),
    state=(StateInput('ee_pose', 7),),
    vocabulary=Vocabulary.of(INSTRUCTIONS).words,
    actions=HORIZON * len(END_EFFECTOR_DIMENSIONS),
    decode='expectation',
)
training = {'command': 'python train.py --episodes 200'}
described = Checkpoint(spec, model.to_dict(), training=training)

torch.manual_seed(0)
network = build_network(described)
# Your weights come here: network.load_state_dict(torch.load('mine.pt', weights_only=True))

models_dir = Path(sys.argv[1] if len(sys.argv) > 1 else 'out/models')
folder = checkpoint.save(models_dir, described, network.state_dict())
policy = load_policy(models_dir, MODEL_ID)
chunk = policy.act(synthetic_observation(policy.spec))
print(f'{folder}: {chunk.horizon} actions of {len(policy.spec.action.names)} numbers')
