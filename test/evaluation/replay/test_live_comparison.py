"""Actions of two runs, compared to the last bit."""

import numpy as np

from sara_ros.evaluation.replay.live_comparison import compare_chunks

NS = 10**9


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
