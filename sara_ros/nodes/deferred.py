"""Answers that other threads give while the executor goes on."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

from rclpy.node import Node
from rclpy.task import Future

from sara_ros.core.courtesy import step_back

T = TypeVar('T')


class Deferred(Generic[T]):
    """One value for a coroutine of ``node`` to await, set once from any thread."""

    def __init__(self, node: Node) -> None:
        """Wait for nothing yet."""
        self._node = node
        self.future: Future = Future(executor=node.executor)

    def set(self, value: T) -> None:
        """Give the value."""
        self.future.set_result(value)
        self._wake()

    def fail(self, err: Exception) -> None:
        """Have the coroutine raise ``err``."""
        self.future.set_exception(err)
        self._wake()

    def _wake(self) -> None:
        executor = self._node.executor
        if executor is not None:
            executor.wake()


def in_background(node: Node, work: Callable[[], T]) -> Future:
    """Return the future result of ``work``, run on a thread of low priority."""
    deferred: Deferred[T] = Deferred(node)

    def run() -> None:
        step_back()
        try:
            value = work()
        except Exception as err:  # raised where it is awaited
            deferred.fail(err)
        else:
            deferred.set(value)

    Thread(target=run, name='background', daemon=True).start()
    return deferred.future
