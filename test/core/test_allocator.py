"""Memory of large arrays."""

import subprocess
import sys

import pytest

from sara_ros.core.allocator import keep_freed_memory

COUNT_FAULTS = """
import resource, sys
import numpy as np
from sara_ros.core.allocator import keep_freed_memory
if sys.argv[1] == 'keep':
    keep_freed_memory()
def use():
    first, second = np.ones(400_000, np.float32), np.ones(400_000, np.float32)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(way):
    """Return the page faults of 20 rounds of two arrays of 1.6 MB."""
    run = subprocess.run(
        [sys.executable, '-c', COUNT_FAULTS, way], capture_output=True, text=True, check=True
    )
    return int(run.stdout)


@pytest.mark.skipif(not keep_freed_memory(), reason='not glibc')
def test_large_arrays_come_without_page_faults():
    """Without it, every round faults in the pages of both arrays."""
    assert faults('keep') < 100
    assert faults('leave') > 1000
