"""Starts a node in its own process and ends it cleanly on SIGINT and SIGTERM."""

from __future__ import annotations

from collections.abc import Callable
import signal
import sys
from threading import Event, Thread
from typing import Protocol

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from sara_ros.core import SaraError


class ClosableNode(Protocol):
    """A node that can stop what it controls before it is destroyed."""

    def close(self) -> None:
        """Stop threads and leave the robot still."""
        ...


def run_node(create: Callable[[], Node], arguments: list[str] | None = None) -> int:
    """
    Spin a node until a signal arrives and return the exit code of the process.

    Signals are handled here rather than by rclpy, whose handler invalidates the context before
    a node could still tell the robot to hold.
    """
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        node = create()
    except SaraError as err:
        print(f'error: {err}', file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    return _spin(node, stop)


def _spin(node: Node, stop: Event) -> int:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    failed: list[BaseException] = []

    def spin() -> None:
        try:
            executor.spin()
        except ExternalShutdownException:
            pass
        except BaseException as err:
            failed.append(err)
        finally:
            stop.set()

    thread = Thread(target=spin, name='executor', daemon=True)
    thread.start()
    stop.wait()
    _close(node)
    executor.shutdown(timeout_sec=1.0)
    thread.join(timeout=2.0)
    node.destroy_node()
    rclpy.try_shutdown()
    if failed:
        raise failed[0]
    return 0


def _close(node: Node) -> None:
    close = getattr(node, 'close', None)
    if close is not None:
        close()


def bring_up(node: LifecycleNode) -> None:
    """Configure and activate a lifecycle node that starts by itself (``autostart``)."""
    if node.trigger_configure() == TransitionCallbackReturn.SUCCESS:
        node.trigger_activate()
