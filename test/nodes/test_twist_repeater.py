"""A slow policy's twists move Servo as far as the policy wants."""

from geometry_msgs.msg import TwistStamped
from nodes.host import Host, until

from sara_ros.nodes.ros_time import NS, to_ns, to_time
from sara_ros.nodes.twist_repeater import TwistRepeaterNode


def twist(station, speed, age_sec=0.0):
    message = TwistStamped()
    now_ns = station.node.get_clock().now().nanoseconds
    message.header.stamp = to_time(now_ns - int(age_sec * NS))
    message.header.frame_id = 'base_link'
    message.twist.linear.x = speed
    return message


def test_a_twist_is_repeated_and_then_stopped(context, station, space):
    repeating = {'action_rate_hz': 4.0, 'rate_hz': 50.0, 'command_expiry_sec': 5.0}
    with Host(context, TwistRepeaterNode, namespace=space, **repeating):
        commands = station.publisher(TwistStamped, 'policy/twist_cmd')
        sent = station.collect(TwistStamped, 'servo_node/delta_twist_cmds')
        commands.publish(twist(station, 9.0, age_sec=60.0))
        commands.publish(twist(station, 0.5))
        until(lambda: [each for each in sent if each.twist.linear.x == 0.0][3:], 'four stops')
        count = len(sent)
        moving = [each for each in sent if each.twist.linear.x]
        assert {each.twist.linear.x for each in moving} == {0.5}
        assert {each.header.frame_id for each in sent} == {'base_link'}
        stamps = [to_ns(each.header.stamp) for each in sent]
        assert stamps == sorted(set(stamps))
        assert 5 < len(moving) < 20  # 0.27 s at 50 Hz
        commands.publish(twist(station, 0.25))
        until(lambda: sent[count:], 'the next one')
        assert sent[count].twist.linear.x == 0.25
        assert count == len(moving) + 4
