"""What a model was trained to do, and what it is told."""

from sara_ros.core.instructions import doubt_about
from sara_ros.core.listing import listed

KNOWN = ('lift the red block', 'reach the disc')


def test_case_and_punctuation_do_not_matter():
    assert doubt_about('Lift the  RED block!', KNOWN) == ''


def test_other_words_and_another_order_are_named():
    doubt = doubt_about('raise the red block', KNOWN)
    assert "'raise the red block'" in doubt
    assert 'it knows lift the red block, reach the disc' in doubt
    assert doubt_about('the red block lift', KNOWN)


def test_a_text_without_words_is_refused_as_such_elsewhere():
    assert doubt_about(' ! ', KNOWN) == ''


def test_any_text_will_do_for_a_model_without_instructions():
    assert doubt_about('sing', ()) == ''


def test_long_lists_are_shortened():
    assert listed('abc', 3) == 'a, b, c'
    assert listed('abc', 2) == 'a, b and 1 more'
    assert listed(()) == ''
