"""What the lifecycle nodes of this package do beyond rclpy's own."""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from lifecycle_msgs.srv import ChangeState
from rclpy.lifecycle import LifecycleNode
from rclpy.service import Service

from sara_ros.core.errors import describe


class ManagedNode(LifecycleNode):
    """
    A lifecycle node that neither a request nor a transition can take down.

    In rclpy a transition that is not possible now ends the process that was asked for it, and an
    exception in a transition callback is dropped without a word.
    """

    def __init__(self, node_name: str, **kwargs: Any) -> None:
        """Create the node and guard its transitions."""
        super().__init__(node_name, **kwargs)
        for service in self.services:
            if service.srv_type is ChangeState:
                service.callback = self._answering(service)

    def create_service(self, *args: Any, **kwargs: Any) -> Service:
        """Create a service whose callback may raise: the answer is then an empty response."""
        service = super().create_service(*args, **kwargs)
        service.callback = self._answering(service)
        return service

    @property
    def state_label(self) -> str:
        """The lifecycle state, e.g. ``inactive``."""
        return str(self._state_machine.current_state[1])

    def report_error(self, text: str) -> None:
        """Tell people about an error; nodes with a status override this."""
        self.get_logger().error(text)

    def attempt(self, what: str, action: Callable[[], None]) -> bool:
        """Run one transition's ``action``; False, and a log entry with the cause, if it raises."""
        try:
            action()
        except Exception as err:
            self.report_error(f'cannot {what}: {describe(err)}')
            return False
        return True

    def _answering(self, service: Service) -> Callable[[Any, Any], Any]:
        callback = service.callback

        async def answer_later(request: Any, response: Any) -> Any:
            try:
                return await callback(request, response)
            except Exception as err:
                return self._failed(service, err)

        def answer(request: Any, response: Any) -> Any:
            try:
                return callback(request, response)
            except Exception as err:
                return self._failed(service, err)

        return answer_later if iscoroutinefunction(callback) else answer

    def _failed(self, service: Service, err: Exception) -> Any:
        self.report_error(f'{service.srv_name} failed: {describe(err)}')
        return service.srv_type.Response()
