"""Ask a running graph for a run, a change of model, or a stop."""

import argparse

import rclpy
from rclpy.action import ActionClient
from std_srvs.srv import Trigger

from sara_ros_msgs.action import RunPolicy
from sara_ros_msgs.srv import SwapModel

WAIT_SEC = 10.0


def main():
    """Run one command and print the answer."""
    options = parse()
    rclpy.init()
    node = rclpy.create_node('operator')
    try:
        print({'run': run, 'swap': swap, 'stop': stop}[options.command](node, options))
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def parse():
    """Return the command and its options."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    run = commands.add_parser('run')
    run.add_argument('instruction')
    run.add_argument('--seconds', type=float, default=20.0)
    swap = commands.add_parser('swap')
    swap.add_argument('model_id')
    swap.add_argument('--backend', default='')
    commands.add_parser('stop')
    return parser.parse_args()


def run(node, options):
    """Send a goal, wait for its end, and return why it ended."""
    client = ActionClient(node, RunPolicy, 'policy/run_policy')
    if not client.wait_for_server(timeout_sec=WAIT_SEC):
        return 'no policy node answers; is it running, and in this ROS_DOMAIN_ID?'
    goal = RunPolicy.Goal(instruction=options.instruction, timeout_sec=options.seconds)
    handle = wait(node, client.send_goal_async(goal))
    result = wait(node, handle.get_result_async()).result
    return f'{result.termination_reason}: {result.message} ({result.commands} commands)'


def swap(node, options):
    """Ask for another model and return what came of it."""
    request = SwapModel.Request(model_id=options.model_id, attention_backend=options.backend)
    answer = call(node, SwapModel, 'model_manager/swap_model', request)
    return answer if isinstance(answer, str) else f'{answer.state}: {answer.message}'


def stop(node, _):
    """End the run."""
    answer = call(node, Trigger, 'policy/stop', Trigger.Request())
    return answer if isinstance(answer, str) else answer.message


def call(node, kind, name, request):
    """Return the answer of a service, or that there is none."""
    client = node.create_client(kind, name)
    if not client.wait_for_service(timeout_sec=WAIT_SEC):
        return f'nothing offers {name}; is its node running, and in this ROS_DOMAIN_ID?'
    return wait(node, client.call_async(request))


def wait(node, future):
    """Return the result of a future."""
    rclpy.spin_until_future_complete(node, future)
    return future.result()


if __name__ == '__main__':
    main()
