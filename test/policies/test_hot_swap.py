"""Changes of model under a running command stream, with candidates of every kind."""

from dataclasses import replace
import gc
from itertools import pairwise
import os
from threading import Event, get_native_id
from threading import enumerate as all_threads
import time
import weakref

from core.fakes import action, action_spec, chunk_of, until
import numpy as np
from policies.swaps import RATE_HZ, RULES, FakeSource, SwapBench, model
import pytest

from sara_ros.core import ObservationError, ParameterError
from sara_ros.core.run import TerminationReason
from sara_ros.core.swap import RESERVE_SHARE, TrialRules, WantedModel
from sara_ros.policies.timed import FEWEST_ANSWERS

PERIOD_SEC = 1 / RATE_HZ


def assert_commands_go_on(bench):
    """Whatever was loaded or tried, a command follows, and since the trial none was a hold."""
    seen = len(bench.commands)
    until(lambda: len(bench.commands) > seen + 3)
    if 'trial' in bench.holds_at:
        assert bench.bench.loop.holds == bench.holds_at['trial']


def blocking(release, x=0.02):
    """Return an answer that the first asker waits for."""
    return lambda observation: (release.wait(10.0), chunk_of(observation, action(x)))[1]


def failing(bad, good_answers=RULES.window_chunks + 3):
    """Return an answer that is good through rehearsal and a few chunks, and then ``bad``."""
    left = [good_answers]

    def answer(observation):
        left[0] -= 1
        return chunk_of(observation, action(0.02)) if left[0] >= 0 else bad(observation)

    return answer


@pytest.mark.parametrize('state', ['loading', 'warming'])
def test_commands_go_on_while_a_model_is_not_ready(state):
    """However long that takes; a stalled load once would have shown as late commands only."""
    release = Event()
    source = FakeSource(old=model('old', 0.01), new=model('new', answer=blocking(release)))
    with SwapBench(source) as bench:
        bench.run()
        if state == 'loading':
            release.set()
            source.go_on.clear()
        answers = []
        bench.swap.request(WantedModel('new'), answers.append)
        bench.wait(state)
        assert_commands_go_on(bench)
        assert bench.swap.report.state == state
        assert set(bench.actors()) == {'old'}
        release.set()
        source.go_on.set()
        until(lambda: answers)


def test_a_swap_under_commands():
    source = FakeSource(old=model('old', 0.01), new=model('new', 0.02))
    with SwapBench(source) as bench:
        bench.run()
        report = bench.ask('new')
        assert (report.state, report.active.model_id) == ('trial', 'new')
        report = bench.wait('active')
        until(lambda: bench.actors()[-1] == 'new')
        assert bench.states == ['loading', 'warming', 'ready', 'trial', 'active']
        assert (report.previous.model_id, report.counts.swaps) == ('old', 1)
        assert_commands_go_on(bench)
        actors = bench.actors()
        assert actors == sorted(actors, reverse=True)
        moves = {(command.model_id, command.values[1]) for command in bench.commands}
        assert moves - {('', 0)} == {('old', np.float32(0.01)), ('new', np.float32(0.02))}


def test_without_a_run_the_swap_is_done_at_once_and_the_trial_waits_for_one():
    source = FakeSource(old=model('old'), new=model('new', 0.02), newer=model('newer', 0.03))
    with SwapBench(source) as bench:
        assert bench.ask('new').state == 'trial'
        assert bench.swap.policy.spec.model_id == 'new'
        time.sleep(0.05)
        assert bench.swap.report.state == 'trial'
        assert bench.ask('newer').active.model_id == 'newer'
        bench.run()
        bench.wait('active')
        assert set(bench.actors()) == {'newer'}


@pytest.mark.parametrize(
    ('bad', 'text'),
    [
        (lambda o: chunk_of(o, action(np.nan)), "action dimension 'x' is nan"),
        (lambda o: chunk_of(o, action(0.5)), "'x' is 0.5, outside its range"),
        (lambda o: 1 / 0, 'ZeroDivisionError'),
        (lambda o: [time.sleep(0.02), chunk_of(o, action(0.02))][1], 'p95 of the inference'),
        (lambda o: [Event().wait(1.0), chunk_of(o, action(0.02))][1], 'busy with its last answer'),
    ],
    ids=['nan', 'out of range', 'exception', 'slow', 'hangs'],
)
def test_a_candidate_that_fails_on_trial_gives_way_under_commands(bad, text):
    source = FakeSource(old=model('old', 0.01), new=model('new', answer=failing(bad)))
    with SwapBench(source) as bench:
        bench.run()
        assert bench.ask('new').state == 'trial'
        report = bench.wait('rolled_back')
        assert text in report.message
        assert "'old'" in report.message
        assert (report.active.model_id, report.previous.model_id) == ('old', '')
        assert (report.counts.swaps, report.counts.rollbacks) == (2, 1)
        until(lambda: bench.actors()[-5:] == ['old'] * 5)
        assert set(bench.actors()) == {'old', 'new'}
        assert_commands_go_on(bench)


def test_the_previous_model_answers_the_very_observation_that_the_candidate_failed_on():
    seen, failed = [], []

    def old(observation):
        seen.append(observation.timing.stamp_ns)
        return chunk_of(observation, action())

    def bad(observation):
        failed.append(observation.timing.stamp_ns)
        raise ValueError('no')

    source = FakeSource(old=model('old', answer=old), new=model('new', answer=failing(bad)))
    with SwapBench(source) as bench:
        bench.run()
        bench.ask('new')
        bench.wait('rolled_back')
        assert failed[0] in seen


def test_an_observation_that_fits_neither_model_is_not_the_candidates_fault():
    bad_pictures = [4]

    def picky(observation):
        if bench.swap.report.state == 'trial' and bad_pictures[0] > 0:
            bad_pictures[0] -= observation is not None
            raise ObservationError('shape', 'a picture of no size')
        return chunk_of(observation, action())

    source = FakeSource(old=model('old', answer=picky), new=model('new', answer=picky))
    with SwapBench(source) as bench:
        bench.run()
        bench.ask('new')
        bench.wait('active')
        assert bench.bench.drops.counts().get('shape', 0) >= 1


@pytest.mark.parametrize(
    ('new', 'text'),
    [
        (MemoryError('out of memory'), 'MemoryError: out of memory'),
        (RuntimeError('CUDA out of memory'), 'RuntimeError: CUDA out of memory'),
        (model('new', action=action_spec(rate_hz=10.0)), 'action rate_hz is 10.0, not 20.0'),
        (model('new', answer=lambda o: chunk_of(o, action(np.nan))), "'x' is nan"),
        (model('new', answer=lambda o: 1 / 0), 'ZeroDivisionError'),
        (
            model('new', answer=lambda o: [time.sleep(0.03), chunk_of(o, action())][1]),
            'the budget is 15 ms',
        ),
        (model('new', answer=lambda o: Event().wait(2.0)), 'did not answer within 0.3 s'),
    ],
    ids=['memory', 'cuda memory', 'spec', 'nan', 'exception', 'slow', 'hangs'],
)
def test_a_candidate_that_is_refused_never_acts(new, text):
    source = FakeSource(old=model('old'), new=new)
    with SwapBench(source) as bench:
        bench.run()
        report = bench.ask('new')
        assert report.state == 'refused'
        assert text in report.message
        assert "'new'" in report.message
        assert (report.active.model_id, report.counts.refusals) == ('old', 1)
        until(lambda: len(bench.commands) > 20)
        assert set(bench.actors()) == {'old'}


def taking(seconds, x=0.01):
    """Return an answer that takes ``seconds``."""
    return lambda o: [time.sleep(seconds), chunk_of(o, action(x))][1]


def test_a_candidate_may_take_as_long_as_the_model_it_replaces():
    """On a busy machine both take more than 60 % of a period, which was refused once."""
    slow = FakeSource(
        old=model('old', answer=taking(0.033)), new=model('new', answer=taking(0.033))
    )
    with SwapBench(slow, TrialRules(10)) as bench:
        bench.run()
        until(lambda: len(bench.commands) > FEWEST_ANSWERS)
        assert bench.ask('new').state == 'trial'
        assert 0.033 < bench.wait('active').budget_sec <= RESERVE_SHARE * PERIOD_SEC


def test_a_candidate_is_tried_at_the_priority_it_will_serve_at():
    """Its thread once inherited that of the loading, so that a busy machine refused it."""
    seen = []

    def answer(observation):
        seen.append(os.getpriority(os.PRIO_PROCESS, get_native_id()))
        return chunk_of(observation, action(0.02))

    with SwapBench(FakeSource(old=model('old'), new=model('new', answer=answer))) as bench:
        bench.run()
        bench.ask('new')
        bench.wait('active')
    assert set(seen) == {os.getpriority(os.PRIO_PROCESS, get_native_id())}


def test_a_candidate_that_is_slower_than_the_model_it_replaces_is_refused():
    source = FakeSource(old=model('old'), new=model('new', answer=taking(0.033)))
    with SwapBench(source, TrialRules(10)) as bench:
        bench.run()
        until(lambda: len(bench.commands) > FEWEST_ANSWERS)
        report = bench.ask('new')
        assert report.state == 'refused'
        assert 'the budget is 30 ms' in report.message


def test_candidates_are_tried_on_the_newest_real_observation():
    seen = []

    def look(observation):
        seen.append((observation.instruction, observation['camera'].shape))
        return chunk_of(observation, action())

    with SwapBench(FakeSource(old=model('old'), new=model('new', answer=look))) as bench:
        bench.run()
        bench.ask('new')
        assert ('go', (2, 2, 3)) in seen[:10]


def test_what_already_serves_is_not_loaded_again():
    source = FakeSource(old=model('old'))
    with SwapBench(source) as bench:
        for arguments in ((), ('old',), ('old', 'softmax'), ('old', '', 'cpu')):
            report = bench.ask(*arguments)
            assert report.state == 'skipped'
            assert "'old' (softmax, cpu) already serves" in report.message
        assert source.loads == []
        assert bench.ask('old', 'sara').state == 'trial'
        assert bench.swap.report.active.attention_backend == 'sara'


def test_a_second_request_is_refused_with_the_state():
    source = FakeSource(old=model('old'), new=model('new'))
    with SwapBench(source) as bench:
        bench.run()
        source.go_on.clear()
        answers = []
        bench.swap.request(WantedModel('new'), answers.append)
        with pytest.raises(ParameterError, match=r"change to 'new'.*state 'loading'.*wait"):
            bench.swap.request(WantedModel('new'))
        source.go_on.set()
        until(lambda: answers)
        with pytest.raises(ParameterError, match=r"state 'trial'"):
            bench.swap.request(WantedModel('new'))
        bench.wait('active')


def test_a_rollback_on_request():
    """On trial at once; later by loading the model again; then there is none left."""
    source = FakeSource(old=model('old', 0.01), new=model('new', 0.02))
    with SwapBench(source, TrialRules(20, 0.015)) as bench:
        bench.run()
        bench.ask('new')
        report = bench.answer(bench.swap.roll_back)
        assert report.state == 'rolled_back'
        assert 'on request' in report.message
        assert source.loads == ['new']
        bench.ask('new')
        bench.wait('active')
        report = bench.answer(bench.swap.roll_back)
        assert (report.state, report.active.model_id) == ('rolled_back', 'old')
        assert source.loads == ['new', 'new', 'old']
        with pytest.raises(ParameterError, match='no model to go back to'):
            bench.swap.roll_back()
        until(lambda: bench.actors()[-3:] == ['old'] * 3)
        assert_commands_go_on(bench)


def test_a_rollback_gives_up_a_candidate_on_its_way():
    source = FakeSource(old=model('old'), new=model('new', 0.02))
    with SwapBench(source) as bench:
        bench.run()
        source.go_on.clear()
        answers = []
        bench.swap.request(WantedModel('new'), answers.append)
        assert bench.answer(bench.swap.roll_back).state == 'discarded'
        assert [report.state for report in answers] == ['discarded']
        source.go_on.set()
        time.sleep(0.2)
        assert set(bench.actors()) == {'old'}
        assert bench.swap.report.state == 'discarded'


@pytest.mark.parametrize('state', ['loading', 'trial', 'shadow'])
def test_closing_during_a_change_answers_it_and_ends_its_threads(state):
    before = set(all_threads())
    source = FakeSource(old=model('old'), new=model('new'))
    with SwapBench(source, TrialRules(10_000, 0.015)) as bench:
        bench.run()
        answers = []
        if state == 'loading':
            source.go_on.clear()
        bench.swap.request(WantedModel('new', shadow=state == 'shadow'), answers.append)
        bench.wait(state)
        bench.swap.close('the node was cleaned up')
        assert answers
        source.go_on.set()
        report = bench.swap.report
        assert (report.state, report.message) == ('refused', 'the node was cleaned up')
    names = {'swap', 'companion'}
    until(lambda: not [each for each in set(all_threads()) - before if each.name in names])


def test_a_shadow_sees_the_same_observations_and_never_acts():
    seen = {'old': [], 'new': []}

    def answer(name, x):
        def look(observation):
            seen[name].append(observation.timing.stamp_ns)
            return chunk_of(observation, action(x))

        return look

    source = FakeSource(
        old=model('old', answer=answer('old', 0.01)),
        new=model('new', answer=answer('new', 0.03)),
    )
    with SwapBench(source) as bench:
        bench.run()
        report = bench.ask('new', shadow=True)
        assert (report.state, report.active.model_id) == ('shadow', 'old')
        until(lambda: len(bench.comparisons) > 10)
        comparison = bench.comparisons[-1]
        np.testing.assert_allclose(comparison.difference()[1], 0.02, rtol=1e-5)
        assert comparison.difference_share(action_spec()) == pytest.approx(0.1, rel=1e-5)
        assert comparison.active.timing.stamp_ns == comparison.candidate.timing.stamp_ns
        assert {c.active.timing.stamp_ns for c in bench.comparisons} <= set(seen['new'])
        assert set(bench.actors()) == {'old'}
        report = bench.answer(lambda done: bench.swap.end_shadow(promote=True, answered=done))
        assert (report.state, report.active.model_id) == ('trial', 'new')
        bench.wait('active')
        until(lambda: bench.actors()[-1] == 'new')
        assert_commands_go_on(bench)


def test_a_slow_shadow_skips_observations_and_delays_nothing():
    slow = model('new', answer=lambda o: [time.sleep(0.1), chunk_of(o, action())][1])
    with SwapBench(FakeSource(old=model('old'), new=slow)) as bench:
        bench.run()
        assert bench.ask('new', shadow=True).state == 'shadow'
        until(lambda: len(bench.comparisons) >= 4)
        assert bench.comparisons[-1].skipped >= 2
        assert bench.comparisons[-1].candidate_ns > 90_000_000
        assert_commands_go_on(bench)


def test_a_shadow_whose_answers_cannot_be_used_says_so():
    """Its rehearsal is good, and what comes later is told with each comparison."""
    bad = failing(lambda o: chunk_of(o, action(np.nan)), good_answers=12)
    with SwapBench(FakeSource(old=model('old'), new=model('new', answer=bad))) as bench:
        bench.run()
        bench.ask('new', shadow=True)
        until(lambda: bench.comparisons and bench.comparisons[-1].error)
        assert bench.comparisons[-1].candidate is None
        assert "'x' is nan" in bench.comparisons[-1].error
        assert not bench.comparisons[-1].difference().any()
        report = bench.answer(lambda done: bench.swap.end_shadow(promote=False, answered=done))
        assert report.state == 'discarded'
        count = len(bench.comparisons)
        time.sleep(0.1)
        assert len(bench.comparisons) <= count + 1
        with pytest.raises(ParameterError, match="no shadow runs; the state is 'discarded'"):
            bench.swap.end_shadow(promote=True)


def test_the_model_before_is_freed_once_the_trial_has_passed():
    """Without the collector of cycles, which a node lets run as rarely as it can."""
    source = FakeSource(old=model('old'), new=model('new'))
    old = weakref.ref(source.models['old'])
    gc.disable()
    try:
        with SwapBench(source) as bench:
            bench.run()
            del source.models['old']
            bench.ask('new')
            assert old() is not None
            bench.wait('active')
            until(lambda: old() is None)
            assert all(command.sequence >= 0 for command in bench.commands)
    finally:
        gc.enable()


def test_a_candidate_that_is_refused_or_rolled_back_is_freed():
    source = FakeSource(
        old=model('old'),
        slow=model('slow', answer=lambda o: [time.sleep(0.03), chunk_of(o, action())][1]),
        bad=model('bad', answer=failing(lambda o: 1 / 0)),
    )
    refused, rolled_back = (weakref.ref(source.models[name]) for name in ('slow', 'bad'))
    gc.disable()
    try:
        with SwapBench(source) as bench:
            bench.run()
            assert bench.ask('slow').state == 'refused'
            del source.models['slow']
            until(lambda: refused() is None)
            bench.ask('bad')
            del source.models['bad']
            bench.wait('rolled_back')
            until(lambda: rolled_back() is None)
    finally:
        gc.enable()


def test_a_history_is_begun_anew_with_each_run_and_after_a_gap():
    """Who has not seen the latest observations must not take older ones for their neighbours."""
    old, new = model('old'), model('new', answer=failing(lambda o: 1 / 0))
    with SwapBench(FakeSource(old=old, new=new)) as bench:
        bench.run()
        resets = old.resets
        bench.ask('new')
        bench.wait('rolled_back')
        assert old.resets == resets + 1


def test_many_swaps_in_a_row_under_commands():
    source = FakeSource(old=model('old', 0.01), new=model('new', 0.02))
    with SwapBench(source, TrialRules(3, 0.015)) as bench:
        bench.run()
        for name in ['new', 'old'] * 5:
            assert bench.ask(name).state == 'trial'
            bench.wait('active')
        assert bench.swap.report.counts.swaps == 10
        changes = [pair for pair in pairwise(bench.actors()) if pair[0] != pair[1]]
        assert len(changes) >= 9
        assert_commands_go_on(bench)
        bench.bench.loop.end_run(TerminationReason.CANCELED, 'enough')


def test_the_spec_keeps_what_the_graph_is_set_up_for():
    spec = model('old').spec
    smaller = replace(spec.action.dimensions[1], low=-0.05, high=0.05)
    dimensions = (spec.action.dimensions[0], smaller, *spec.action.dimensions[2:])
    new = model('new', action=replace(spec.action, dimensions=dimensions, horizon=1))
    with SwapBench(FakeSource(old=model('old'), new=new)) as bench:
        bench.ask('new')
        found = bench.swap.policy.spec
        assert found.model_id == 'new'
        assert found.action == spec.action
