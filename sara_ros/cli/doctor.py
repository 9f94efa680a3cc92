"""Checks a machine and a graph, and says what to do about what is wrong."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
import os
from pathlib import Path
import sys
from typing import TYPE_CHECKING

from sara_ros.core import ParameterError, SaraError
from sara_ros.core.errors import describe
from sara_ros.core.health import Level
from sara_ros.evaluation.doctor import machine, middleware, stored_models
from sara_ros.evaluation.doctor.report import as_json, print_results
from sara_ros.evaluation.doctor.result import CheckResult, error, ok, worst_level
from sara_ros.evaluation.files import write_json

if TYPE_CHECKING:
    from sara_ros.core import PolicySpec


def run_doctor(options: argparse.Namespace, models_dir: Path) -> int:
    """
    Check, print and write what was found; 1 when something does not work, else 0.

    :raises ParameterError: for an option that cannot be used.
    """
    topics = _topics(options.topic)
    if not options.seconds > 0:
        raise ParameterError(f'--seconds is {options.seconds:g}; it must be above 0')
    results = check_machine(os.environ)
    ros_works = all(each.level != Level.ERROR for each in results if each.check in _ROS)
    models, spec = check_models(models_dir, options.model)
    results += models
    if options.graph:
        results += _graph(options, spec, topics, ros_works)
    print_results(results, sys.stdout)
    if options.json is not None:
        write_json(options.json, as_json(results))
    return 1 if worst_level(results) == Level.ERROR else 0


_ROS = ('ROS', 'sara_ros_msgs', 'discovery')


def check_machine(environment: Mapping[str, str]) -> list[CheckResult]:
    """Check everything but models and graph."""
    ros, middleware_name = middleware.check_ros(environment)
    results = [
        machine.check_python(),
        machine.check_packages(),
        machine.check_os_libraries(),
        machine.check_open3d(),
        machine.check_rendering(),
        machine.check_gpu(),
        ros,
    ]
    if middleware_name:
        results += [
            middleware.check_messages(),
            middleware.check_profile(environment, middleware_name),
        ]
    return [*results, middleware.check_shared_memory(), middleware.check_domain(environment)]


def check_models(models_dir: Path, model_id: str) -> tuple[list[CheckResult], PolicySpec | None]:
    """Check the models on disk and that one of them acts; also return its spec."""
    acts, spec = stored_models.check_policy(models_dir, model_id)
    return [*stored_models.check_models(models_dir), acts], spec


def _graph(
    options: argparse.Namespace,
    spec: PolicySpec | None,
    topics: Mapping[str, str],
    ros_works: bool,
) -> list[CheckResult]:
    if not ros_works:
        return [ok('graph', 'not checked, since ROS does not work here')]
    if spec is None:
        return [ok('graph', f'not checked, since what {options.model} needs is not known')]
    try:
        from sara_ros.nodes.graph_check import check_graph

        return check_graph(
            spec, seconds=options.seconds, namespace=options.namespace, topics=topics
        )
    except SaraError as err:
        return [error('graph', describe(err), 'change the option or parameter that is named')]
    except Exception as err:  # rcl raises whatever the environment makes it
        return [error('graph', describe(err), 'see ROS, RMW profile and discovery above')]


def _topics(entries: Sequence[str]) -> dict[str, str]:
    topics = {}
    for entry in entries:
        name, _, topic = entry.partition('=')
        if not name or not topic:
            raise ParameterError(f"--topic: '{entry}' does not read NAME=TOPIC")
        topics[name] = topic
    return topics
