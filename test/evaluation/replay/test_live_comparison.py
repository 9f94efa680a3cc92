"""Actions of two runs, compared to the last bit."""

from dataclasses import replace

from evaluation.replay.bags import START_NS, ToyPolicy, joint_spec
import numpy as np

from sara_ros.evaluation.replay.bag import Bag
from sara_ros.evaluation.replay.contender import Contender
from sara_ros.evaluation.replay.examination import Examiner
from sara_ros.evaluation.replay.job import Job, play
from sara_ros.evaluation.replay.live_comparison import compare_chunks, judge, unequal_stamps
from sara_ros.evaluation.replay.places import Place

NS = 10**9
FRAME_NS = 50 * 10**6


def chunks(*stamps, value=0.1):
    return {stamp: np.full((2, 3), value, np.float32) for stamp in stamps}


def test_equal_chunks_need_no_note():
    assert compare_chunks(chunks(1, 2, 3), chunks(1, 2, 3)) == {
        'equal': 6, 'different': 0, 'only_bag_time': 0, 'only_live': 0, 'notes': [],
    }  # fmt: skip


def test_the_last_bit_counts_and_its_stamp_is_named():
    live = chunks(NS, 2 * NS)
    live[2 * NS] = np.nextafter(live[2 * NS], np.float32(1))
    found = compare_chunks(chunks(NS, 2 * NS), live)
    assert (found['equal'], found['different']) == (2, 2)
    assert 'at stamp 2.000000000; largest difference 7.45e-09' in found['notes'][0]


def test_negative_zero_is_another_bit():
    assert compare_chunks(chunks(1, value=0.0), chunks(1, value=-0.0))['different'] == 2


def test_what_only_one_run_saw_is_named():
    found = compare_chunks(chunks(*range(9 * NS, 18 * NS, NS)), chunks(9 * NS, 99 * NS))
    assert (found['equal'], found['only_bag_time'], found['only_live']) == (2, 16, 2)
    assert found['notes'][0].endswith('13.000000000, 14.000000000 and 3 more')
    assert found['notes'][1] == 'bag time superseded the observation 99.000000000'


class Remembering(ToyPolicy):
    """Adds the joints that it saw before."""

    def __init__(self):
        spec = replace(joint_spec(), history=2, learned=False)
        super().__init__(spec, lambda seen: [seen['arm'] + 0.1])
        self.before = np.zeros(2, np.float32)

    def act(self, observation):
        chunk, before = super().act(observation), self.before
        self.before = observation['arm']
        return replace(chunk, values=chunk.values + before)

    def reset(self):
        super().reset()
        self.before = np.zeros(2, np.float32)


def judged(path, make, change):
    """Return what is said of a live graph whose chunks are ``change`` of those of the replay."""
    result = play(Job(Place(path), Contender('toy'), path), Bag(path), make())
    live = change({stamp: chunk.copy() for stamp, chunk in result.chunks.items()})
    examiner = Examiner(make(), Bag(path), result.topics, 'move')
    unequal = unequal_stamps(result.chunks, live)
    examined = examiner.examine(live, result.seen, unequal)
    return judge(result.chunks, live, result.seen, examined, make().spec, result.topics)


def plain():
    return ToyPolicy(replace(joint_spec(), learned=False), lambda seen: [seen['arm'] + 0.1])


def test_a_difference_that_older_joints_explain_names_their_stamps(arm_bag):
    """Timing was made answerable for every difference, and nobody looked."""

    def change(chunks):
        stamps = sorted(chunks)
        chunks[stamps[7]] = chunks[stamps[6]]
        return chunks

    timing, unexplained = judged(arm_bag, plain, change)
    assert unexplained == []
    (text,) = timing
    assert text == (
        "at stamp 1700000000.473456789 the live policy saw '/joint_states' of "
        '1700000000.423456789, the replay that of 1700000000.473456789'
    )


def test_a_difference_that_no_observation_explains_is_named(arm_bag):
    def change(chunks):
        chunks[START_NS + 7 * FRAME_NS][0, 1] += 0.25
        return chunks

    timing, (text,) = judged(arm_bag, plain, change)
    assert timing == []
    assert text == (
        "at stamp 1700000000.473456789 of '/image_raw' the live graph and the replay saw the "
        "same, for no other observation of the recording gives the live action: dimension 'elbow' "
        'differs by 0.25 rad in step 0'
    )


def test_a_policy_that_does_not_answer_alike_twice_is_named(arm_bag):
    """What it saw is found, and it is what the replay saw as well."""
    result = play(Job(Place(arm_bag), Contender('toy'), arm_bag), Bag(arm_bag), plain())
    live = {stamp: chunk + 1 for stamp, chunk in result.chunks.items()}
    found = judge(result.chunks, live, result.seen, result.seen, joint_spec(), result.topics)
    assert found[0] == []
    assert len(found[1]) == 20
    assert found[1][0].endswith(" saw the same: dimension 'shoulder' differs by 1 rad in step 0")


def test_what_a_policy_remembers_counts_as_seen(arm_bag):
    """The live graph saw older joints at one picture, and remembered them at the next."""

    def arm(row):
        return np.float32([[0.1 * row, -0.1 * row]])

    def change(chunks):
        first, second = (START_NS + row * FRAME_NS for row in (7, 8))
        chunks[first] = (arm(6) + 0.1) + arm(6)
        chunks[second] = (arm(8) + 0.1) + arm(6)
        return chunks

    timing, unexplained = judged(arm_bag, Remembering, change)
    assert unexplained == []
    older, remembered = timing
    assert older.startswith('at stamp 1700000000.473456789 the live policy saw ')
    assert older.endswith('1700000000.423456789, the replay that of 1700000000.473456789')
    assert remembered == (
        'at stamp 1700000000.523456789 the live policy saw the same, after other observations'
    )
