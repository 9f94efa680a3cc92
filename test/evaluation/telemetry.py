"""Made-up commands and messages of an exported session."""

from __future__ import annotations

from sara_ros.core.timing import STAGES
from sara_ros.core.timing_windows import CommandTiming
from sara_ros.evaluation.mcap_log import Topic

TEXT = Topic('/text', 'std_msgs/msg/String', 'string data\n')


def text_message(text):
    """Return a string as CDR."""
    data = text.encode() + b'\0'
    return b'\0\1\0\0' + len(data).to_bytes(4, 'little') + data


def command(sequence, *, total_ms=30.0, model='one', backend='softmax', **changes):
    """Return a command whose inference takes what the other stages leave."""
    stages = {**dict.fromkeys(STAGES, 1.0), 'inference': total_ms - len(STAGES) + 1}
    values = {
        'model_id': model,
        'attention_backend': backend,
        'sequence': sequence,
        'stamp_sec': 1000.0 + sequence * 0.05,
        'stages_ms': stages,
        'total_ms': total_ms,
        'observation_age_ms': total_ms,
    }
    return CommandTiming(**{**values, **changes})
