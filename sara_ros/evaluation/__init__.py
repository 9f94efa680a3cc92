"""What a session did and how fast: samples, reports, plots, video and the live view."""

from sara_ros.evaluation.samples import CommandSample, read_csv, summarise, write_csv
from sara_ros.evaluation.session import Episode, Session
from sara_ros.evaluation.status import LiveStatus

__all__ = [
    'CommandSample',
    'Episode',
    'LiveStatus',
    'Session',
    'read_csv',
    'summarise',
    'write_csv',
]
