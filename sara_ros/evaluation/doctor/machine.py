"""Checks of the interpreter, its packages, the operating system's libraries and the GPU."""

from __future__ import annotations

from collections.abc import Mapping
import ctypes
import importlib.util
import json
from pathlib import Path
import platform
import sys
from typing import Any, Final

from sara_ros.core.errors import SaraError
from sara_ros.core.resources import package_folder
from sara_ros.evaluation.doctor.probe import attempt
from sara_ros.evaluation.doctor.result import CheckResult, error, ok, warning

OLDEST: Final = (3, 10)
NEWEST: Final = (3, 14)
PACKAGES: Final = {
    'numpy': 'numpy',
    'torch': 'torch',
    'safetensors': 'safetensors',
    'open3d': 'open3d-cpu',
    'cv2': 'opencv-python-headless',
    'PIL': 'pillow',
    'av': 'av',
    'pyarrow': 'pyarrow',
    'rosbags': 'rosbags',
    'mcap': 'mcap',
    'mujoco': 'mujoco',
    'mink': 'mink',
    'daqp': 'daqp',
    'matplotlib': 'matplotlib',
    'yaml': 'PyYAML',
    'psutil': 'psutil',
    'rich': 'rich',
}
"""Modules and the distributions that provide them; training and conversion take more."""
REPAIR: Final = 'run `make env` in the repository'
DRIVER_VERSION: Final = Path('/proc/driver/nvidia/version')
RENDER: Final = """
import sara_ros.sim, os, mujoco
context = mujoco.GLContext(16, 16)
context.make_current()
context.free()
print('renders with MUJOCO_GL=' + os.environ['MUJOCO_GL'])
"""
CUDA: Final = """
import json, torch
available = torch.cuda.is_available()
names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
print(json.dumps([torch.__version__, torch.version.cuda or '', available, names]))
"""


def check_python(version: tuple[int, int] | None = None) -> CheckResult:
    """Check the version of the interpreter."""
    found = version or sys.version_info[:2]
    seen = f'Python {found[0]}.{found[1]} on {platform.system()} {platform.machine()}'
    if OLDEST <= found <= NEWEST:
        return ok('Python', seen)
    return error('Python', seen, 'use Python 3.10 to 3.14: make env PYTHON=python3.11')


def check_packages(packages: Mapping[str, str] = PACKAGES) -> CheckResult:
    """Check that the modules in ``packages`` are installed."""
    missing = [name for module, name in packages.items() if not _installed(module)]
    if not missing:
        return ok('Python packages', f'{len(packages)} of {len(packages)} installed')
    pip = f'{sys.executable} -m pip install {" ".join(missing)}'
    advice = f'{REPAIR}, or in a ROS workspace: {pip}'
    return error('Python packages', f'not installed: {", ".join(missing)}', advice)


def check_os_libraries(table: Path | None = None) -> CheckResult:
    """
    Check that the shared libraries in ``table`` can be loaded.

    :param table: JSON of library name to ``package`` and ``needed_by``; None: that of the package.
    """
    name = 'OS libraries'
    try:
        path = table or package_folder('config') / 'os_libraries.json'
        needed: dict[str, dict[str, str]] = json.loads(path.read_text(encoding='utf-8'))
    except (SaraError, OSError, ValueError) as err:
        return error(name, f'the list of them cannot be read: {err}', 'install sara_ros again')
    missing = {library: entry for library, entry in needed.items() if not _loads(library)}
    if not missing:
        return ok(name, f'{len(needed)} of {len(needed)} can be loaded')
    seen = ', '.join(f'{each} (for {entry["needed_by"]})' for each, entry in missing.items())
    packages = ' '.join(entry['package'] for entry in missing.values())
    advice = f'sudo apt-get install --yes {packages}'
    # A robot does without the simulator.
    only_simulator = all(entry['needed_by'] == 'mujoco' for entry in missing.values())
    report = warning if only_simulator else error
    return report(name, f'cannot be loaded: {seen}', advice)


def check_open3d() -> CheckResult:
    """Check that Open3D can be imported, which takes libraries of the operating system."""
    outcome = attempt('import open3d; print(open3d.__version__)')
    if outcome.worked:
        return ok('Open3D', f'version {outcome.text}')
    advice = f'point cloud policies need it: see "OS libraries", or {REPAIR}'
    return error('Open3D', f'cannot be imported: {outcome.text}', advice)


def check_rendering() -> CheckResult:
    """Check that MuJoCo can draw, which only the simulator needs."""
    outcome = attempt(RENDER)
    if outcome.worked:
        return ok('MuJoCo', outcome.text)
    advice = (
        'only the simulator needs it: see "OS libraries"; without a display '
        'unset MUJOCO_GL or export MUJOCO_GL=osmesa, on a machine with a GPU egl'
    )
    return warning('MuJoCo', f'cannot draw: {outcome.text}', advice)


def check_gpu(driver_file: Path = DRIVER_VERSION) -> CheckResult:
    """Check that torch uses the GPU, where there is one."""
    outcome = attempt(CUDA)
    if not outcome.worked:
        return error('GPU', f'torch cannot be imported: {outcome.text}', REPAIR)
    try:
        torch_version, cuda, available, names = json.loads(outcome.text)
    except ValueError:
        return error('GPU', f'torch answers {outcome.text!r}', REPAIR)
    return judge_gpu(torch_version, cuda, available, names, driver=_first_line(driver_file))


def judge_gpu(
    torch_version: str, cuda: str, available: bool, names: list[Any], *, driver: str
) -> CheckResult:
    """
    Judge what torch says of the GPU.

    :param cuda: version of CUDA that torch was built for; empty for a CPU build.
    :param driver: what the NVIDIA driver calls itself; empty without one.
    """
    build = f'torch {torch_version}'
    if available and names:
        return ok('GPU', f'{", ".join(map(str, names))}; {build} for CUDA {cuda}')
    if not driver:
        return ok('GPU', f'no NVIDIA driver; {build} runs on the CPU')
    if not cuda:
        version = torch_version.split('+')[0]
        return warning(
            'GPU',
            f'{build} is a CPU build, but there is an NVIDIA driver: {driver}',
            f'{sys.executable} -m pip install --force-reinstall torch=={version} with an index '
            'that has its CUDA build, then start the policy with device:=cuda',
        )
    return warning(
        'GPU',
        f'{build} for CUDA {cuda} sees no GPU, but there is a driver: {driver}',
        'see nvidia-smi: update the driver to one for this CUDA, give the container its GPU '
        '(docker run --gpus all), and unset CUDA_VISIBLE_DEVICES where it is empty',
    )


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding='utf-8', errors='replace').splitlines()[0].strip()
    except (OSError, IndexError):
        return ''
