"""Attention backends by name, and the readable reference each of them is checked against."""

from sara_ros.attention.auto import settle_network
from sara_ros.attention.backend import AttentionBackend
from sara_ros.attention.folding import Folded, Projection, fold, joined, worth_folding
from sara_ros.attention.registry import backend_class, backend_names, create
from sara_ros.attention.state import State

__all__ = [
    'AttentionBackend', 'Folded', 'Projection', 'State', 'backend_class', 'backend_names',
    'create', 'fold', 'joined', 'settle_network', 'worth_folding',
]  # fmt: skip
