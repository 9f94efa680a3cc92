"""Models to swap between that are no more than a function, and a bench that runs them."""

from __future__ import annotations

from dataclasses import replace
from threading import Event, Thread
import time

from core.fakes import Bench, FakePolicy, action, action_spec, chunk_of, policy_spec, sample, until

from sara_ros.core import CheckpointError
from sara_ros.core.swap import ModelIdentity, SwapState, TrialRules, WantedModel
from sara_ros.policies.candidate import ServedModel
from sara_ros.policies.hot_swap import HotSwap

RATE_HZ = 20.0
RULES = TrialRules(window_chunks=10, budget_sec=0.015, answer_timeout_sec=0.3)


def model(name, x=0.01, answer=None, **changes):
    """Return a policy that is called ``name`` and moves by ``x``."""
    answer = answer or (lambda observation: chunk_of(observation, action(x)))
    changes = {'action': action_spec(RATE_HZ), **changes}
    return FakePolicy(answer, spec=replace(policy_spec(), model_id=name, **changes))


class FakeSource:
    """Models by name; an exception in place of one is raised when it is loaded."""

    def __init__(self, **models):
        self.models = models
        self.loads = []
        self.go_on = Event()
        self.go_on.set()

    def identify(self, wanted):
        if wanted.model_id not in self.models:
            raise CheckpointError(f"model '{wanted.model_id}' not found")
        backend = wanted.attention_backend or 'softmax'
        return replace(wanted, attention_backend=backend, weights_sha256=wanted.model_id)

    def load(self, identity):
        self.loads.append(identity.model_id)
        assert self.go_on.wait(10.0)
        made = self.models[identity.model_id]
        if isinstance(made, BaseException):
            raise made
        return made


class SwapBench:
    """A serving loop whose model can be swapped, with what it reports."""

    def __init__(self, source, rules=RULES):
        self.source = source
        self.reports = []
        self.holds_at = {}
        self.comparisons = []
        identity = source.identify(ModelIdentity('old', device='cpu'))
        self.swap = HotSwap(
            ServedModel.of(source.models['old'], identity),
            source,
            self,
            rules=lambda: rules,
            changed=self._note,
            compared=self.comparisons.append,
        )
        self.bench = Bench(self.swap.policy, camera_hz=0, max_slew=0.1)
        self.commands = self.bench.sink.commands
        self._stopping = Event()
        self._camera = Thread(target=self._deliver, daemon=True)

    def __enter__(self):
        self.bench.__enter__()
        self._camera.start()
        return self

    def __exit__(self, *_):
        self.source.go_on.set()
        self._stopping.set()
        self._camera.join()
        self.swap.close('the test ended')
        self.bench.__exit__()

    @property
    def states(self):
        return [report.state.value for report in self.reports]

    def _deliver(self):
        """Deliver pictures at the command rate without drift, as a camera does."""
        due = time.monotonic()
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            self.bench.buffer.add('camera', sample())
            due += 1 / RATE_HZ

    def _note(self, report):
        self.reports.append(report)
        self.holds_at[report.state.value] = self.bench.loop.holds

    def running(self):
        return self.bench.loop.run is not None

    def reserve(self, duration_ns):
        self.bench.loop.reserve(duration_ns)

    def reserved(self):
        return self.bench.loop.reserved

    def run(self):
        """Start a run and wait until it is under way."""
        self.bench.begin('go', observation_timeout_sec=60.0, chunk_timeout_sec=60.0)
        until(lambda: len(self.commands) > 5)

    def ask(self, *arguments, **options):
        """Request a model and return the report that answers it."""
        return self.answer(
            lambda done: self.swap.request(WantedModel(*arguments, **options), done)
        )

    def answer(self, begin):
        """Return the one report that answers ``begin``."""
        answers = []
        begin(answers.append)
        until(lambda: answers)
        (report,) = answers
        return report

    def wait(self, state):
        """Wait for a state and return its report."""
        until(lambda: self.swap.report.state is SwapState(state))
        return self.swap.report

    def actors(self):
        """Return which model is behind each command so far, holds left out."""
        return [command.model_id for command in list(self.commands) if not command.hold]
