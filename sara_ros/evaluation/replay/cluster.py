"""Replays on a Ray cluster, or on a Ray instance of this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import os
from secrets import token_hex
import socket
from typing import Any, Final, cast

from sara_ros.core import ParameterError
from sara_ros.core.errors import describe
from sara_ros.evaluation.replay.job import Job
from sara_ros.evaluation.replay.many import Outcome, Outcomes, attempt
from sara_ros.evaluation.replay.messages import BagError

LOCAL: Final = 'local'
CONNECT_SEC: Final = 5.0
_LOCAL_OPTIONS: Final[dict[str, Any]] = {
    'include_dashboard': False,
    'object_store_memory': 256 * 2**20,
    '_node_ip_address': '127.0.0.1',
}


class RayCluster:
    """
    Workers of Ray. Each needs this package, and bags and models at the same paths.

    :param address: ``local`` starts an instance on this machine and ends it afterwards; ``auto``
        or ``HOST:PORT`` joins a cluster.
    :raises ParameterError: when Ray is not installed.
    """

    def __init__(self, address: str) -> None:
        """Join nothing yet."""
        if address == LOCAL:
            os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
            # Ray listens on every interface; nobody without the token gets an answer. It is read
            # at the import.
            os.environ.setdefault('RAY_AUTH_MODE', 'token')
            os.environ.setdefault('RAY_AUTH_TOKEN', token_hex(32))
        try:
            import ray
        except ImportError as err:
            raise ParameterError(
                '--cluster needs Ray: pip install -r requirements/ray.txt, or the extra '
                f'sara_ros[ray]: {err}'
            ) from err
        self._ray: Any = ray
        self._address = address
        self.name = f'Ray {address}'

    def outcomes(self, jobs: Sequence[Job]) -> Outcomes:
        """Yield places and outcomes; see :class:`Workers`."""
        ray = self._ray
        with self._joined():
            self._check_room(jobs)
            places = {self._submit(job): place for place, job in enumerate(jobs)}
            try:
                while places:
                    (done,), _ = ray.wait(list(places))
                    yield places.pop(done), self._outcome(done)
            except ray.exceptions.RayError as err:
                raise BagError(f'Ray {self._address} is lost: {describe(err)}') from err

    def _outcome(self, done: Any) -> Outcome:
        try:
            return cast('Outcome', self._ray.get(done))
        except self._ray.exceptions.RayError as err:
            return f'Ray {self._address} lost this replay: {describe(err)}'

    @contextmanager
    def _joined(self) -> Iterator[None]:
        options: dict[str, Any] = {}
        if self._address == LOCAL:
            options = _LOCAL_OPTIONS
        check_reachable(self._address)
        try:
            self._ray.init(self._address, log_to_driver=False, logging_level='ERROR', **options)
        except Exception as err:  # connecting may raise anything
            raise ParameterError(f'--cluster {self._address}: {describe(err)}') from err
        try:
            yield
        finally:
            self._ray.shutdown()

    def _check_room(self, jobs: Sequence[Job]) -> None:
        """Refuse what no machine has the processors for, rather than wait for ever."""
        for name in ('CPU', 'GPU'):
            most = max((node['Resources'].get(name, 0) for node in self._ray.nodes()), default=0)
            needed = max(_resources(job)[name] for job in jobs)
            if needed > most:
                raise ParameterError(
                    f'--cluster {self._address}: a replay needs {needed} {name} (--threads, '
                    f'--device), and no machine has more than {most:g}'
                )

    def _submit(self, job: Job) -> Any:
        needed = _resources(job)
        task = self._ray.remote(num_cpus=needed['CPU'], num_gpus=needed['GPU'])(attempt)
        return task.remote(job)


def check_reachable(address: str) -> None:
    """
    Check that somebody listens at ``HOST:PORT``: Ray would try for minutes.

    :raises ParameterError: when nobody does.
    """
    host, _, port = address.rpartition(':')
    if not host or not port.isdecimal() or '/' in host:
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_SEC).close()
    except (OSError, OverflowError) as err:
        raise ParameterError(
            f'--cluster {address}: no Ray cluster can be reached there: {describe(err)}'
        ) from err


def _resources(job: Job) -> dict[str, int]:
    return {'CPU': job.threads, 'GPU': int(job.device.startswith('cuda'))}
