"""Bag replay evaluation: models on recordings, in the recording's own time."""
