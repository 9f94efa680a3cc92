"""Messages that a broken driver or network could send: mutations of real ones, seeded."""

from array import array
from copy import deepcopy
import math
import random
import re

import cv2
from nodes.clouds import cloud, records
import numpy as np
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage

from sara_ros.nodes.image_codec import encode_image
from sara_ros.nodes.ros_time import to_time
from sara_ros.nodes.state_codec import encode_joint_state

JOINTS = ('a', 'b')
PICTURE = np.arange(24 * 32 * 3, dtype=np.uint8).reshape(24, 32, 3)
TEXTS = ('', 'rgb8', 'bgr8', 'mono16', 'x' * 300, '\u2603', 'base_link', 'a', 'x', 'intensity')
INTEGERS = (0, 1, 2, 7, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1)
FLOATS = (0.0, -0.0, 1e-300, 1e300, math.nan, math.inf, -math.inf, 3.5)


def picture():
    """Return a good picture."""
    return encode_image(PICTURE, stamp_ns=1, frame_id='camera')


def compressed():
    """Return a good compressed picture."""
    message = CompressedImage(format='png')
    message.data = array('B', cv2.imencode('.png', PICTURE)[1].tobytes())
    return message


def points():
    """Return a good cloud."""
    message = cloud(records())
    message.header.frame_id = 'base_link'
    return message


def joints():
    """Return a good joint state."""
    return encode_joint_state(JOINTS, np.array([0.5, -0.5], np.float32), stamp_ns=1)


def mutated(make, rng, stamp_ns):
    """Return a message with one to four of its fields changed; its stamp is mostly good."""
    message = deepcopy(make())
    message.header.stamp = to_time(stamp_ns)
    for _ in range(rng.randint(1, 4)):
        _mutate(message, rng)
    return message


def mutated_bytes(make, rng, stamp_ns):
    """Return a serialised message with bytes flipped, cut off, repeated or added."""
    message = deepcopy(make())
    message.header.stamp = to_time(stamp_ns)
    data = bytearray(serialize_message(message))
    way = rng.randrange(4)
    if way == 0:
        for _ in range(rng.randint(1, 16)):
            data[rng.randrange(4, len(data))] = rng.randrange(256)
    elif way == 1:
        del data[rng.randrange(4, len(data)) :]
    elif way == 2:
        place = rng.randrange(4, len(data))
        data[place:place] = data[place : place + rng.randint(1, 64)]
    else:
        place = rng.randrange(4, max(5, len(data) - 4))
        data[place : place + 4] = rng.choice(INTEGERS).to_bytes(4, 'little')
    return bytes(data)


def _mutate(message, rng):
    fields = message.get_fields_and_field_types()
    name, kind = rng.choice(sorted(fields.items()))
    value = getattr(message, name)
    if re.fullmatch('string|boolean|u?int[0-9]+', kind):
        setattr(message, name, _scalar(kind, rng))
    elif isinstance(value, array):
        setattr(message, name, _resized(value, rng))
    elif isinstance(value, list):
        setattr(message, name, _relisted(value, rng))
    else:
        _mutate(value, rng)


def _scalar(kind, rng):
    if kind == 'string':
        return rng.choice(TEXTS)
    if kind == 'boolean':
        return bool(rng.randrange(2))
    bits = int(kind.strip('uint'))
    low, high = (0, 2**bits - 1) if kind[0] == 'u' else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return max(low, min(high, rng.choice(INTEGERS)))


def _resized(values, rng):
    """Return numbers with one of them changed, some of them gone, or some more of them."""
    changed = values[: rng.randrange(len(values) + 1)] if rng.randrange(2) else values[:]
    if changed and values.typecode == 'd':
        changed[rng.randrange(len(changed))] = rng.choice(FLOATS)
    elif changed:
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return changed + changed if rng.randrange(8) == 0 else changed


def _relisted(values, rng):
    if not values or rng.randrange(2):
        return [*values, *values][: rng.randrange(2 * len(values) + 1)]
    index = rng.randrange(len(values))
    if isinstance(values[index], str):
        values[index] = rng.choice(TEXTS)
    else:
        _mutate(values[index], rng)
    return values


def generator(seed):
    """Return a source of randomness that is the same every time."""
    return random.Random(seed)
