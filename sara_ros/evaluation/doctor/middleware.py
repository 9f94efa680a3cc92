"""Checks of ROS, its middleware, shared memory and what decides which nodes find each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
import shutil
from typing import Final

from sara_ros.core import ParameterError
from sara_ros.core.resources import package_folder
from sara_ros.core.ros_domains import DOMAINS
from sara_ros.evaluation.doctor.fastdds_profile import segment_bytes
from sara_ros.evaluation.doctor.probe import attempt
from sara_ros.evaluation.doctor.result import CheckResult, error, ok, warning

FAST_DDS: Final = 'rmw_fastrtps'
PROFILES: Final = 'FASTRTPS_DEFAULT_PROFILES_FILE'
DISTRO: Final = 'jazzy'
PROCESSES: Final = 5
"""Processes of a robot's graph that exchange images: two cameras, policy, manager, recorder."""
MIB: Final = 2**20
FIRST_PORT: Final = 7400
PORTS_PER_DOMAIN: Final = 250
PARTICIPANT_PORTS: Final = range(10, 60)
"""Of a domain's ports those that its participants on one machine take, from the first on."""
HIGHEST_DOMAIN: Final = 232
RANGES: Final = ('SUBNET', 'LOCALHOST', 'OFF', 'SYSTEM_DEFAULT')
RCLPY: Final = 'import rclpy; print(rclpy.get_rmw_implementation_identifier())'
MESSAGES: Final = """
from sara_ros_msgs.msg import EndEffectorAction
EndEffectorAction.__class__.__import_type_support__()
print(type(EndEffectorAction()).__name__)
"""
GET_ROS: Final = (
    'run `make env` in the repository and use its .venv/bin/sara-ros, or source an installation: '
    f'. /opt/ros/{DISTRO}/setup.bash'
)
GET_MESSAGES: Final = (
    'run `make env` in the repository, or build them in your workspace: colcon build '
    '--base-paths src/sara_ros src/sara_ros/sara_ros_msgs, and source install/setup.bash'
)


def check_ros(environment: Mapping[str, str]) -> tuple[CheckResult, str]:
    """Check that rclpy works; also return the middleware it uses, empty when it does not work."""
    outcome = attempt(RCLPY)
    if not outcome.worked:
        wanted = environment.get('RMW_IMPLEMENTATION', '')
        advice = f'unset RMW_IMPLEMENTATION (it is {wanted}), or {GET_ROS}' if wanted else GET_ROS
        return error('ROS', f'rclpy cannot be used: {outcome.text}', advice), ''
    distro = environment.get('ROS_DISTRO', '')
    if distro and distro != DISTRO:
        advice = f'tests run on {DISTRO}; source /opt/ros/{DISTRO}/setup.bash to use that'
        return warning('ROS', f'ROS_DISTRO is {distro}', advice), outcome.text
    return ok('ROS', f'rclpy of ROS 2 {distro or "unknown distribution"}'), outcome.text


def check_messages() -> CheckResult:
    """Check that the interfaces of this package are built for this interpreter."""
    outcome = attempt(MESSAGES)
    if outcome.worked:
        return ok('sara_ros_msgs', 'built for this Python')
    return error('sara_ros_msgs', f'cannot be used: {outcome.text}', GET_MESSAGES)


def check_profile(environment: Mapping[str, str], middleware: str) -> CheckResult:
    """Check that large messages travel between processes."""
    name, seen = 'RMW profile', f'{middleware or "no middleware"}'
    if not middleware.startswith(FAST_DDS):
        return warning(
            name,
            f'{seen}; the profile for images is for Fast DDS',
            f'export RMW_IMPLEMENTATION={FAST_DDS}_cpp, or give this one buffers of 32 MB',
        )
    try:
        shipped = package_folder('config') / 'fastdds.xml'
        needed = segment_bytes(shipped)
        given = environment.get(PROFILES, '')
        size = segment_bytes(Path(given)) if given else 0
    except ParameterError as err:
        return error(name, str(err), f'export {PROFILES} with the fastdds.xml of this package')
    advice = f'export {PROFILES}={shipped} in the shell of every node, also of the drivers'
    if not given:
        return warning(name, f'{seen}; {PROFILES} is not set, so images get lost', advice)
    if size < needed:
        what = f'has a segment of {size / MIB:.1f} MiB' if size else 'uses no shared memory'
        return warning(name, f'{seen}; {given} {what}, {needed / MIB:.0f} are needed for images',
                       f'set segment_size in it, or {advice}')  # fmt: skip
    other = '' if Path(given).resolve() == shipped.resolve() else ', a file of yours'
    return ok(name, f'{seen}; segments of {size / MIB:.0f} MiB by {given}{other}')


def check_shared_memory(folder: Path = Path('/dev/shm')) -> CheckResult:
    """Check that the segments of several processes fit into shared memory."""
    name = 'shared memory'
    advice = (
        f'docker run --shm-size=1g, or sudo mount -o remount,size=1G {folder}; segments of '
        f'processes that died are {folder}/fastrtps_*, and can be deleted while no node runs'
    )
    try:
        segment = segment_bytes(package_folder('config') / 'fastdds.xml')
        free = shutil.disk_usage(folder).free
    except (ParameterError, OSError) as err:
        return error(name, f'cannot be measured: {err}', advice)
    seen = f'{folder} has {free / MIB:,.0f} MiB free'
    if free < segment:
        return error(name, f'{seen}, one process takes {segment / MIB:.0f}', advice)
    if free < PROCESSES * segment:
        few = f'{seen}, enough for {free // segment} processes of {segment / MIB:.0f}'
        return warning(name, few, advice)
    return ok(name, seen)


def check_domain(environment: Mapping[str, str]) -> CheckResult:
    """Check what decides which nodes find each other."""
    name = 'discovery'
    domain = environment.get('ROS_DOMAIN_ID', '').strip() or '0'
    if not domain.isdecimal() or int(domain) > HIGHEST_DOMAIN:
        advice = f'export ROS_DOMAIN_ID with a number up to {DOMAINS[-1]}, the same on the robot'
        return error(name, f'ROS_DOMAIN_ID is {domain!r}', advice)
    reach = environment.get('ROS_AUTOMATIC_DISCOVERY_RANGE', '') or 'SUBNET'
    seen = f'domain {domain}, range {reach}'
    if reach not in RANGES:
        return error(name, seen, f'ROS_AUTOMATIC_DISCOVERY_RANGE is one of {", ".join(RANGES)}')
    if int(domain) > DOMAINS[-1]:
        advice = f'Linux gives its ports to other programs too; take one up to {DOMAINS[-1]}'
        return warning(name, seen, advice)
    peers = environment.get('ROS_STATIC_PEERS', '')
    if reach == 'OFF':
        return error(name, f'{seen}: no node finds another, not even on this machine',
                     'export ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET, or LOCALHOST')  # fmt: skip
    if environment.get('ROS_LOCALHOST_ONLY') == '1' or (reach == 'LOCALHOST' and not peers):
        return warning(
            name, f'{seen}: nodes on other machines, such as the robot, are not found',
            'fine for the simulator; for a robot unset ROS_LOCALHOST_ONLY and export '
            'ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET, or ROS_STATIC_PEERS with its address',
        )  # fmt: skip
    return ok(name, seen + (f', static peers {peers}' if peers else ''))


def domains_in_use(table: Path = Path('/proc/net/udp')) -> set[int]:
    """Return the ROS domains in which this machine seems to have nodes, by their ports."""
    try:
        rows = table.read_text(encoding='ascii').splitlines()[1:]
        ports = {int(row.split()[1].rpartition(':')[2], 16) for row in rows if row.strip()}
    except (OSError, ValueError, IndexError):
        return set()
    places = [divmod(port - FIRST_PORT, PORTS_PER_DOMAIN) for port in ports if port > FIRST_PORT]
    return {
        domain
        for domain, offset in places
        if domain <= DOMAINS[-1] and offset in PARTICIPANT_PORTS
    }
