"""
One launch file under ``launch_testing``: its nodes come up, publish, come back and end cleanly.

By hand: ``launch_test test/launch/launched.py file:=simulation.launch.py namespace:=left``.
"""

import os
from pathlib import Path
import signal
import sys
import time
import unittest

from launch.actions import IncludeLaunchDescription
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
import launch_testing
from launch_testing.actions import ReadyToTest
from launch_testing.asserts import assertExitCodes
import rclpy
from std_msgs.msg import String

from launch import LaunchDescription
from sara_ros.nodes import qos
from sara_ros_msgs.msg import PolicyStatus, TimingSummary

LAUNCH = Path(__file__).parents[2] / 'launch'
TIMEOUT_SEC = 60.0
ARGUMENTS = dict(each.split(':=', 1) for each in sys.argv if ':=' in each)


def generate_test_description():
    """Include the launch file that is named by the argument ``file``."""
    path = PathJoinSubstitution([str(LAUNCH), LaunchConfiguration('file')])
    return LaunchDescription([IncludeLaunchDescription(path), ReadyToTest()])


class TestNodes(unittest.TestCase):
    """What is seen from outside while everything runs; in the order of the names."""

    @classmethod
    def setUpClass(cls):
        rclpy.init(args=[])
        cls.node = rclpy.create_node('onlooker', namespace=ARGUMENTS.get('namespace', ''))
        cls.statuses, cls.summaries = [], []
        for kind, topic, profile, messages in (
            (PolicyStatus, 'policy/status', qos.LATCHED, cls.statuses),
            (TimingSummary, 'model_manager/timing', qos.COMMAND, cls.summaries),
        ):
            cls.node.create_subscription(kind, topic, messages.append, profile)
        cls.wanted = 'active' if ARGUMENTS.get('autostart') != 'false' else 'unconfigured'

    @classmethod
    def tearDownClass(cls):
        cls.node.destroy_node()
        rclpy.try_shutdown()

    def until(self, condition, what):
        deadline = time.monotonic() + TIMEOUT_SEC
        while not condition():
            rclpy.spin_once(self.node, timeout_sec=0.05)
            assert time.monotonic() < deadline, f'waited in vain for {what}'

    def status(self, condition, what):
        self.until(lambda: self.statuses and condition(self.statuses[-1]), what)
        return self.statuses[-1]

    def test_1_nodes_come_up(self):
        status = self.status(lambda each: each.state == self.wanted, self.wanted)
        if self.wanted == 'active':
            assert ARGUMENTS.get('model', '') in ('', status.model_id)
            self.until(lambda: self.summaries, 'the model manager')

    def test_2_they_publish(self):
        if ARGUMENTS.get('publishes') != 'true':
            self.skipTest('nothing here feeds the policy')
        self.status(lambda each: each.state == self.wanted, self.wanted)
        say = self.node.create_publisher(String, 'policy/instruction', qos.COMMAND)
        self.until(say.get_subscription_count, 'somebody to instruct')
        say.publish(String(data='reach the red block'))
        self.status(lambda each: each.commands_published > 5, 'commands')

    def test_3_a_killed_policy_comes_back(self):
        first = self.status(lambda each: each.state == self.wanted, self.wanted)
        os.kill(first.pid, signal.SIGKILL)
        again = self.status(
            lambda each: each.pid != first.pid and each.state == self.wanted, 'another process'
        )
        assert again.model_id == first.model_id


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    """How the processes ended."""

    def test_exit_codes(self, proc_info):
        assertExitCodes(proc_info, allowable_exit_codes=[0, -signal.SIGKILL])
