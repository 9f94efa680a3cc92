"""A conversion's report reads as a table and as JSON."""

import json

from sara_ros.uptraining.report import ConversionReport, LayerReport

REPORT = ConversionReport(
    'sara',
    (
        LayerReport('encoder.0', 'softmax', 'sara', True),
        LayerReport('encoder.10', 'softmax', 'softmax', False, 'not chosen'),
    ),
)


def test_table():
    """One line a layer, columns aligned, and the count."""
    assert str(REPORT).splitlines() == [
        'layer       before   after    converted  reason',
        'encoder.0   softmax  sara     yes',
        'encoder.10  softmax  softmax  no         not chosen',
        "1 of 2 layers have 'sara' now",
    ]


def test_json():
    """Everything is in it, and the two halves are the whole."""
    stated = json.loads(json.dumps(REPORT.to_dict()))
    assert stated['backend'] == 'sara'
    assert LayerReport(**stated['layers'][1]) == REPORT.layers[1]
    assert (*REPORT.converted, *REPORT.left) == REPORT.layers
