"""Attention backends timed beside each other, on this machine."""
