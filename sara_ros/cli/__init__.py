"""The ``sara-ros`` command."""
