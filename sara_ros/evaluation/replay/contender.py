"""Which model is replayed, with which attention backend."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sara_ros.core import ParameterError, Policy, SaraError
from sara_ros.core.errors import describe


@dataclass(frozen=True, slots=True)
class Contender:
    """A model, and the attention backend it is served with; empty for its own."""

    model_id: str
    attention_backend: str = ''

    @classmethod
    def parse(cls, text: str) -> Contender:
        """Read ``MODEL`` or ``MODEL@BACKEND``."""
        model_id, _, backend = text.partition('@')
        if not model_id:
            raise ParameterError(f"model '{text}' does not read MODEL or MODEL@BACKEND")
        return cls(model_id, backend)

    @property
    def name(self) -> str:
        """The form that :meth:`parse` reads."""
        return '@'.join(filter(None, (self.model_id, self.attention_backend)))


@cache
def load(models_dir: Path, contender: Contender, device: str, threads: int) -> Policy:
    """
    Load a policy, once for all recordings of this process.

    :raises SaraError: naming what is wrong with the model or the backend.
    """
    from sara_ros.policies.loading import load_policy, warm_up
    from sara_ros.policies.threads import limit_threads

    limit_threads(threads)
    try:
        policy = load_policy(
            models_dir,
            contender.model_id,
            attention_backend=contender.attention_backend,
            device=device,
        )
        warm_up(policy)
    except SaraError:
        raise
    except Exception as err:  # whatever torch makes of a device that is not there
        raise ParameterError(
            f"model '{contender.name}' cannot be served on --device {device}: {describe(err)}"
        ) from err
    return policy


def needs_of(models_dir: Path, contender: Contender) -> tuple[str, ...]:
    """
    Return the names of what a model observes, without loading its weights.

    :raises SaraError: when there is no such model.
    """
    from sara_ros.policies import checkpoint as checkpoints
    from sara_ros.policies.loading import SCRIPTED_EXPERT

    if contender.model_id == SCRIPTED_EXPERT:
        spec = load(models_dir, contender, 'cpu', 1).spec
    else:
        spec = checkpoints.read(models_dir, contender.model_id).checkpoint.spec
    return tuple(need.name for need in spec.observations)


def facts_of(policy: Policy, contender: Contender) -> dict[str, Any]:
    """Return what a report says of a policy."""
    spec = policy.spec
    return {
        'name': contender.name,
        'model_id': spec.model_id,
        'kind': spec.kind,
        'learned': spec.learned,
        'attention_backend': str(spec.attention.get('backend', '')),
        'command_rate_hz': spec.action.rate_hz,
        'horizon': spec.action.horizon,
    }
