"""The model manager node: what can be served, and how long serving takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn

from sara_ros.core import CheckpointError, ParameterError
from sara_ros.core.resources import package_folder
from sara_ros.nodes.managed import ManagedNode
from sara_ros.nodes.model_codec import describe_models, verify_model
from sara_ros.nodes.models_watch import PARAMETERS as WATCH_PARAMETERS
from sara_ros.nodes.models_watch import ModelsWatch
from sara_ros.nodes.parameters import ParameterSpec, declare, value
from sara_ros.nodes.process import bring_up, run_node
from sara_ros.nodes.shadow_watch import PARAMETERS as SHADOW_PARAMETERS
from sara_ros.nodes.shadow_watch import ShadowWatch
from sara_ros.nodes.start import end
from sara_ros.nodes.swap_client import PARAMETERS as SWAP_PARAMETERS
from sara_ros.nodes.swap_client import SwapClient
from sara_ros.nodes.telemetry import Telemetry
from sara_ros.nodes.telemetry_parameters import PARAMETERS as TELEMETRY_PARAMETERS
from sara_ros_msgs.srv import ListModels, VerifyModel

PARAMETERS: Final = (
    ParameterSpec('models_dir', '', 'Folder of the models; empty: those of this package.'),
    ParameterSpec('policy', 'policy', 'Name of the policy node to watch, relative to this one.'),
    *TELEMETRY_PARAMETERS,
    *SWAP_PARAMETERS,
    *SHADOW_PARAMETERS,
    *WATCH_PARAMETERS,
    ParameterSpec('autostart', True, 'Configure and activate without a lifecycle manager.',
                  read_only=True),
)  # fmt: skip


class ModelManagerNode(ManagedNode):
    """
    Lists, verifies and swaps models, and sums up the timing of a policy node.

    ``~/list_models`` and ``~/verify_model`` answer in every state; the rest works while the node
    is active: ``~/swap_model``, ``~/end_shadow``, ``~/rollback``, the watched folder on
    ``~/models``, and summaries on ``~/timing`` and ``/diagnostics``, without warm-up commands.
    """

    def __init__(self, **kwargs: Any) -> None:
        """
        Declare the parameters and offer the services.

        :raises ParameterError: when a parameter has a value that cannot be used.
        """
        super().__init__('model_manager', **kwargs)
        declare(self, PARAMETERS)
        self._services_of_models = [
            self.create_service(ListModels, '~/list_models', self._on_list),
            self.create_service(VerifyModel, '~/verify_model', self._on_verify),
        ]
        self._telemetry = Telemetry(self)
        self._shadow = ShadowWatch(self, lambda verdict, text: self._swaps.decide(verdict, text))
        self._swaps = SwapClient(
            self, models_dir=self._models_dir, changed=self._shadow.on_swap_status
        )
        self._watch = ModelsWatch(self)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Create publishers; fails when there is no folder of models."""
        if not self.attempt('configure', self._configure):
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start to listen to the policy."""
        if not self.attempt('activate', self._listen):
            self._ignore()
            return TransitionCallbackReturn.FAILURE
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening."""
        self._ignore()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the publishers."""
        self._telemetry.release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening and release the publishers."""
        self._ignore()
        self._telemetry.release()
        return super().on_shutdown(state)

    def close(self) -> None:
        """Finish what is being exported before the process ends."""
        self._ignore()

    def _configure(self) -> None:
        self._models_dir()
        self._telemetry.configure()

    def _listen(self) -> None:
        policy, models_dir = value(self, 'policy'), self._models_dir()
        self._telemetry.listen()
        self._swaps.listen(policy)
        self._shadow.listen(policy)
        self._watch.start(models_dir)

    def _ignore(self) -> None:
        for part in (self._telemetry, self._swaps, self._shadow, self._watch):
            part.ignore()

    def _models_dir(self) -> Path:
        folder = Path(value(self, 'models_dir') or package_folder('models'))
        if not folder.is_dir():
            raise ParameterError(f"parameter 'models_dir': {folder} is not a folder")
        return folder

    def _on_list(self, _: Any, response: ListModels.Response) -> ListModels.Response:
        try:
            response.models = describe_models(self._models_dir())
        except CheckpointError as err:  # an answer is owed all the same
            self.get_logger().error(str(err))
        return response

    def _on_verify(
        self, request: VerifyModel.Request, response: VerifyModel.Response
    ) -> VerifyModel.Response:
        response.info = verify_model(self._models_dir(), request.model_id)
        response.ok = response.info.verified
        response.message = response.info.error or 'hash, architecture and one inference are good'
        return response


def main(args: list[str] | None = None) -> int:
    """Run the node in its own process."""

    def create() -> ModelManagerNode:
        node = ModelManagerNode()
        if value(node, 'autostart'):
            bring_up(node)
        return node

    return run_node(create, args)


if __name__ == '__main__':
    end(main())
