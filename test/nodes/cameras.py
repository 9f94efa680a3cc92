"""Cameras of the tests: tiny pictures at 20 Hz."""

import threading
import time

import numpy as np

from sara_ros.nodes.image_codec import encode_image
from sara_ros.nodes.ros_time import to_time

PICTURE = np.zeros((4, 6, 3), np.uint8)


class Camera:
    """Publishes good pictures at 20 Hz on a thread of its own."""

    def __init__(self, publisher, make_message=None):
        self._publisher = publisher
        self._make = make_message or (lambda: stamped(picture()))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join()

    def _run(self):
        while not self._stopping.wait(0.05):
            self._publisher.publish(self._make())


def stamped(message, age_sec=0.0):
    """Return ``message`` as taken ``age_sec`` ago."""
    message.header.stamp = to_time(time.time_ns() - int(age_sec * 1e9))
    return message


def picture(**changes):
    message = encode_image(PICTURE, stamp_ns=time.time_ns(), frame_id='cam')
    for name, value in changes.items():
        setattr(message, name, value)
    return message
