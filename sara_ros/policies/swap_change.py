"""One change of the serving model, from its request to its answer."""

from __future__ import annotations

from dataclasses import dataclass

from sara_ros.core.swap import ModelIdentity, TrialRules, WantedModel
from sara_ros.core.swap_report import Answered, SwapReport


@dataclass(slots=True, eq=False)
class Change:
    """
    A change until it is over.

    :param identity: the candidate, as far as it is known by now.
    :param going_back: it returns to the model before, which needs no trial.
    :param given_up: nobody wants it any more.
    """

    wanted: WantedModel
    identity: ModelIdentity
    rules: TrialRules
    answered: Answered
    going_back: bool = False
    given_up: bool = False

    def answer(self, report: SwapReport) -> None:
        """Tell whoever asked for it, once."""
        answered, self.answered = self.answered, lambda _: None
        answered(report)


class GivenUpError(Exception):
    """The change is not wanted any more."""
