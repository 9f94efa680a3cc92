"""The domain, context and station of the node tests, for a graph with another simulator."""

from nodes.conftest import context, domain, space, station  # noqa: F401
