"""Commands among the topics of a recording, by what a replay compares and by their names."""

from evaluation.replay.bags import (
    ACTION,
    IMAGE,
    JOINT_STATE,
    MAKER,
    POSE,
    START_NS,
    TWIST,
    write_bag,
)
from training.test_lerobot import recording
from training.test_recorded import write_hand

from sara_ros.evaluation.replay.bag import Bag
from sara_ros.evaluation.replay.lerobot_source import LeRobotSource
from sara_ros.evaluation.replay.recorded_commands import commands_in

COMMANDS = {
    '/policy/action': ACTION,
    '/action': JOINT_STATE,
    '/joint_commands': JOINT_STATE,
    '/jointCmd': JOINT_STATE,
    '/arm/set_joints': JOINT_STATE,
    '/arm/control/joints': JOINT_STATE,
    '/master/joint_left': JOINT_STATE,
    '/policy/joint_trajectory': JOINT_STATE,
    '/servo/targetPose': POSE,
    '/ee_pose_ref': POSE,
    '/goal_pose': POSE,
    '/servo_node/delta_twist_cmds': TWIST,
}
SENSORS = {
    '/joint_states': JOINT_STATE,
    '/arm_controller/joint_states': JOINT_STATE,
    '/offset_joints': JOINT_STATE,
    '/ee_pose': POSE,
    '/plane/pose': POSE,
    '/target/image_raw': IMAGE,
}

__all__ = ['recording']


def test_commands_are_told_from_sensors(tmp_path):
    made = {
        ACTION: MAKER.action(START_NS, 0.1),
        JOINT_STATE: MAKER.joints(START_NS, [0, 1]),
        POSE: MAKER.pose(START_NS, [0, 0, 1]),
        TWIST: MAKER.twist(START_NS, [0, 0, 1]),
        IMAGE: MAKER.image(START_NS),
    }
    topics = {**COMMANDS, **SENSORS}
    rows = [(topic, kind, START_NS, made[kind]) for topic, kind in topics.items()]
    bag = Bag(write_bag(tmp_path / 'arm', rows))
    assert {each.name for each in bag.topics} == set(topics)
    assert set(commands_in(bag)) == set(COMMANDS)


def test_the_only_actions_of_ours_are_commands_whatever_their_name(tmp_path):
    rows = [('/hand/moves', ACTION, START_NS, MAKER.action(START_NS, 0.1))]
    assert commands_in(Bag(write_bag(tmp_path / 'arm', rows))) == ['/hand/moves']


def test_actions_of_lerobot_folders_are_commands_whatever_they_are(recording, tmp_path):
    for folder in (recording, write_hand(tmp_path / 'hand-set', (3,))):
        assert commands_in(LeRobotSource(folder, 0)) == ['/action']
