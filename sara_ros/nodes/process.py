"""Starts a node in its own process and ends it cleanly on SIGINT and SIGTERM."""

from __future__ import annotations

from collections.abc import Callable
import gc
from queue import SimpleQueue
import signal
import sys
from threading import Thread
import time
from typing import Final, Protocol

import rclpy
from rclpy.exceptions import NameValidationException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from sara_ros.core import ParameterError, SaraError
from sara_ros.core.allocator import keep_freed_memory
from sara_ros.core.errors import describe

CLOSE_TIMEOUT_SEC: Final = 5.0
LAST_ANSWERS_SEC: Final = 0.1
SWITCH_INTERVAL_SEC: Final = 0.0005
"""How long callbacks still run once a node is closed, so that clients learn how it ended."""


class ClosableNode(Protocol):
    """
    A node that can stop what it controls before it is destroyed.

    One that moves a robot also has ``halt()``, which any thread may call.
    """

    def close(self) -> None:
        """Stop threads and leave the robot still."""
        ...


def run_node(create: Callable[[], Node], arguments: list[str] | None = None) -> int:
    """
    Spin a node until a signal arrives and return the exit code of the process.

    Signals are handled here rather than by rclpy, whose handler invalidates the context before
    a node could still tell the robot to hold.
    """
    stop: SimpleQueue[None] = SimpleQueue()  # may be put to in a signal handler, unlike an Event
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.put(None))
    try:
        # The threads of a node hand the interpreter over within a fraction of a millisecond.
        sys.setswitchinterval(SWITCH_INTERVAL_SEC)
        keep_freed_memory()
        _init(arguments)
        node = create()
        gc.freeze()  # what lives as long as the node need not be searched for garbage
        return _spin(node, stop)
    except (SaraError, NameValidationException) as err:
        print(f'error: {describe(err)}', file=sys.stderr)
        return 2
    finally:
        rclpy.try_shutdown()


def _init(arguments: list[str] | None) -> None:
    try:
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as err:  # what rcl says of arguments and parameter files
        raise ParameterError(str(err)) from err


def _spin(node: Node, stop: SimpleQueue[None]) -> int:
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
            stop.put(None)

    thread = Thread(target=spin, name='executor', daemon=True)
    thread.start()
    stop.get()
    halt = getattr(node, 'halt', None)
    if halt is not None:
        halt()  # the robot does not wait for a callback that is still running
    _close(node, executor, thread)
    executor.shutdown(timeout_sec=1.0)
    thread.join(timeout=2.0)
    node.destroy_node()
    if failed:
        raise failed[0]
    return 0


def _close(node: Node, executor: SingleThreadedExecutor, thread: Thread) -> None:
    """Close the node between two callbacks; beside one where that one does not return."""
    close = getattr(node, 'close', None)
    if close is None:
        return
    closed = executor.create_task(close)
    deadline = time.monotonic() + CLOSE_TIMEOUT_SEC
    while thread.is_alive() and not closed.done() and time.monotonic() < deadline:
        time.sleep(0.01)
    if closed.done():
        time.sleep(LAST_ANSWERS_SEC)
    else:
        close()


def bring_up(node: LifecycleNode) -> None:
    """Configure and activate a lifecycle node that starts by itself (``autostart``)."""
    if node.trigger_configure() == TransitionCallbackReturn.SUCCESS:
        node.trigger_activate()
