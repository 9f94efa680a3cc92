"""Where things lie in this repository and in its virtual environment."""

from pathlib import Path
import sys

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / '.venv'
PYTHON = VENV / 'bin' / 'python'
STAMPS = VENV / 'stamps'
LOGS = ROOT / 'log' / 'bootstrap'
REQUIREMENTS = ROOT / 'requirements'
INSTALL = ROOT / 'install'

PYTHON_LIB = 'python{}.{}'.format(*sys.version_info[:2])
SITE_PACKAGES = VENV / 'lib' / PYTHON_LIB / 'site-packages'
