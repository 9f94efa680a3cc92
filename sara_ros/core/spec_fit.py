"""Whether a model can take the place of another one without a change of the graph."""

from __future__ import annotations

from collections.abc import Iterator

from sara_ros.core.errors import SpecError
from sara_ros.core.spec import ActionSpec, ObservationSpec, PolicySpec


def require_fit(serving: PolicySpec, candidate: PolicySpec) -> None:
    """
    Check that ``candidate`` takes what is subscribed for ``serving`` and returns what it returns.

    It may need fewer observations, accept older ones, use smaller ranges and another horizon.

    :raises SpecError: naming every difference.
    """
    differences = [
        *_action_differences(serving.action, candidate.action),
        *_observation_differences(serving, candidate),
    ]
    if differences:
        raise SpecError(
            f"model '{candidate.model_id}' cannot take the place of '{serving.model_id}': "
            f'{"; ".join(differences)}; configure the policy node for it instead'
        )


def _action_differences(serving: ActionSpec, candidate: ActionSpec) -> Iterator[str]:
    for name in ('kind', 'frame', 'rate_hz', 'names'):
        ours, theirs = getattr(serving, name), getattr(candidate, name)
        if ours != theirs:
            yield f'action {name} is {theirs}, not {ours}'
    for ours, theirs in zip(serving.dimensions, candidate.dimensions, strict=False):
        if ours.name != theirs.name:
            return
        if ours.unit != theirs.unit:
            yield f"action dimension '{ours.name}' is in '{theirs.unit}', not '{ours.unit}'"
        if theirs.low < ours.low or theirs.high > ours.high:
            yield (
                f"action dimension '{ours.name}' has the range [{theirs.low:g}, {theirs.high:g}], "
                f'which is not within [{ours.low:g}, {ours.high:g}]'
            )


def _observation_differences(serving: PolicySpec, candidate: PolicySpec) -> Iterator[str]:
    known = {need.name: need for need in serving.observations}
    for need in candidate.observations:
        if need.name not in known:
            yield f"it needs the observation '{need.name}', which nothing subscribes to"
        else:
            yield from _need_differences(known[need.name], need)
    if candidate.driver.name != serving.driver.name:
        yield (
            f"it is driven by the observation '{candidate.driver.name}', not "
            f"'{serving.driver.name}'"
        )


def _need_differences(serving: ObservationSpec, candidate: ObservationSpec) -> Iterator[str]:
    where = f"observation '{serving.name}'"
    for name in ('kind', 'shape', 'unit', 'frame', 'names'):
        ours, theirs = getattr(serving, name), getattr(candidate, name)
        if ours != theirs:
            yield f'{where} has {name} {theirs!r}, not {ours!r}'
    if candidate.max_age_sec < serving.max_age_sec:
        yield (
            f'{where} may be {candidate.max_age_sec:g} s old at most, but is handed out up to '
            f'{serving.max_age_sec:g} s old'
        )
