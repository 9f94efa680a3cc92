"""Attention backends by name, and the readable reference each of them is checked against."""

from sara_ros.attention.backend import AttentionBackend
from sara_ros.attention.registry import backend_class, backend_names, create

__all__ = ['AttentionBackend', 'backend_class', 'backend_names', 'create']
