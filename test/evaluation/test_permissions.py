"""What may not be read or written is named; root, who may do everything, gives that up here."""

from __future__ import annotations

import os
from pathlib import Path
import shutil
import subprocess
import sys

from evaluation.replay.bags import arm_messages, write_bag
import pytest

MODEST = ('setpriv', '--bounding-set=-dac_override,-dac_read_search')
TRY = """
import sys
from sara_ros.core import SaraError
from sara_ros.evaluation.piece_store import PieceStore
from sara_ros.evaluation.replay.bag import Bag
from sara_ros.evaluation.replay.places import places_of
from sara_ros.policies.checkpoint import list_models
from pathlib import Path

for path in sys.argv[1:]:
    for read in (places_of, Bag, PieceStore, list_models):
        try:
            read(Path(path))
            print('nothing said')
        except SaraError as err:
            print(err)
"""


def tried(*paths: Path) -> list[str]:
    """Return what three readers of each path say."""
    prefix = MODEST if os.geteuid() == 0 else ()
    if prefix and shutil.which(prefix[0]) is None:
        pytest.skip('root needs setpriv to give its rights up')
    command = [*prefix, sys.executable, '-c', TRY, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if prefix and 'setpriv' in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_may_not_be_read_or_written_is_named(tmp_path):
    folder = write_bag(tmp_path / 'arm', arm_messages(2))
    (bag,) = (each for each in folder.iterdir() if each.suffix in ('.db3', '.mcap'))
    bag.chmod(0)
    closed = tmp_path / 'closed'
    closed.mkdir(mode=0)
    found, opened, _, _, *of_closed = tried(folder, closed)
    closed.chmod(0o755)
    assert found == 'nothing said'
    assert f'arm: {bag.name} may not be read' in opened
    assert [text.split(': ')[0] for text in of_closed] == [
        f'{closed} cannot be looked into',
        f'{closed} cannot be looked into',
        f'results cannot be written to {closed}',
        f'models in {closed} cannot be looked at',
    ]
