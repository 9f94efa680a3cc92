"""Models and frames that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import shutil

import pytest
import torch
from uptraining.toys import KINDS, write_frames, write_model


@pytest.fixture(scope='session')
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a toy of each kind with its frames, once."""
    root = tmp_path_factory.mktemp('toys')
    for kind in KINDS:
        write_model(root / kind / 'models', kind)
        write_frames(root / kind / 'work', kind)
    return root


@pytest.fixture(params=KINDS)
def toy(request: pytest.FixtureRequest, originals: Path, tmp_path: Path) -> Path:
    """Return a folder of its own with ``models`` and ``work`` of a toy."""
    return Path(shutil.copytree(originals / request.param, tmp_path / request.param))


@pytest.fixture
def rt2_toy(originals: Path, tmp_path: Path) -> Path:
    """Return :func:`toy` of the RT-2 kind only."""
    return Path(shutil.copytree(originals / 'rt2', tmp_path / 'rt2'))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Give torch one thread: toys are slower with more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
