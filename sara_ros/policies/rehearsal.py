"""A candidate's first answers, which nobody acts on."""

from __future__ import annotations

from statistics import median
from typing import Final

from sara_ros.core import ActionError, ActionSpec, Observation
from sara_ros.core.courtesy import Gate
from sara_ros.core.swap import TrialRules, fault_of
from sara_ros.policies.companion import Answer, Companion
from sara_ros.policies.loading import synthetic_observation

WARM_UP_ANSWERS: Final = 3
MEASURED_ANSWERS: Final = 7
GAP_TIMEOUT_SEC: Final = 0.5


def rehearse(
    candidate: Companion,
    *,
    gate: Gate,
    actions: ActionSpec,
    latest: Observation | None,
    rules: TrialRules,
    timed: bool = True,
) -> None:
    """
    Warm a candidate up, and check its answers to the newest real observation.

    It acts between the inferences of the serving model, which would otherwise slow each other.
    Without a real observation the made-up one of the warm-up has to do.

    :param actions: what the serving model returns; see :func:`sara_ros.core.swap.fault_of`.
    :param timed: also compare the median time of an answer with the budget.
    :raises ActionError: saying what is wrong with its answers.
    """
    observation = synthetic_observation(candidate.policy.spec)
    for _ in range(WARM_UP_ANSWERS):
        _answer(candidate, observation, gate, actions, rules)
    observation = latest or observation
    answers = [
        _answer(candidate, observation, gate, actions, rules) for _ in range(MEASURED_ANSWERS)
    ]
    typical_sec = median(answer.duration_ns for answer in answers) * 1e-9
    budget_sec = rules.beside(actions).budget_sec
    if timed and typical_sec > budget_sec:
        raise ActionError(
            f'it takes {typical_sec * 1e3:.1f} ms to answer, the budget is '
            f'{budget_sec * 1e3:.0f} ms; take a faster backend or raise swap_budget_sec'
        )
    candidate.reset()


def _answer(
    candidate: Companion,
    observation: Observation,
    gate: Gate,
    actions: ActionSpec,
    rules: TrialRules,
) -> Answer:
    gate.wait(GAP_TIMEOUT_SEC)
    answer = candidate.ask(observation, rules.answer_timeout_sec)
    if answer is None:
        raise ActionError(
            f'it did not answer within {rules.answer_timeout_sec:g} s; its thread is left behind'
        )
    if answer.chunk is None:
        raise ActionError(answer.error)
    fault = fault_of(answer.chunk, actions)
    if fault:
        raise ActionError(fault)
    return answer
