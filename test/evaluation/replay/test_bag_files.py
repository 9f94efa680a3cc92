"""Bags whose files, metadata and indices contradict each other."""

from contextlib import suppress
from dataclasses import replace
import os
from pathlib import Path
import sqlite3

from evaluation.replay.bags import (
    IMAGE,
    START_NS,
    Maker,
    ToyPolicy,
    arm_messages,
    joint_spec,
    write_bag,
)
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
import yaml

from sara_ros.evaluation.replay.bag import Bag
from sara_ros.evaluation.replay.contender import Contender
from sara_ros.evaluation.replay.job import Job, play
from sara_ros.evaluation.replay.message_types import ros1_types, ros2_types
from sara_ros.evaluation.replay.messages import BagError, at
from sara_ros.evaluation.replay.places import Place
from sara_ros.evaluation.replay.report import report_of, shortcomings

ALL = ('/action', '/image_raw', '/joint_states')


def contents(bag):
    """Return how many messages each topic gives that can be decoded."""
    found = dict.fromkeys(ALL, 0)
    for each in bag.messages(ALL):
        each.read()
        found[each.topic] += 1
    return found


def described(folder, change):
    """Change what ``metadata.yaml`` says."""
    path = folder / 'metadata.yaml'
    data = yaml.safe_load(path.read_text())
    info = data['rosbag2_bagfile_information']
    change(info, info['topics_with_message_count'])
    path.write_text(yaml.safe_dump(data))
    return folder


@pytest.mark.parametrize(
    'change',
    [
        lambda info, topics: topics.clear(),
        lambda info, topics: [each.update(message_count='many') for each in topics],
        lambda info, topics: [each['topic_metadata'].update(name='/x') for each in topics],
        lambda info, topics: [each['topic_metadata'].update(type='a/b') for each in topics],
        lambda info, topics: [
            each['topic_metadata'].update(offered_qos_profiles='{{{') for each in topics
        ],
        lambda info, topics: info.update(storage_identifier='other', version=99),
        lambda info, topics: info.update(duration={'nanoseconds': -1}, message_count=-1),
    ],
)
@pytest.mark.parametrize('plugin', list(StoragePlugin))
def test_the_files_count_not_what_metadata_says_of_them(tmp_path, plugin, change):
    """Counts in words ended in a traceback, other names and types in an empty replay."""
    folder = write_bag(tmp_path / 'lies', arm_messages(3), plugin=plugin)
    bag = Bag(described(folder, change))
    assert {each.name: each.count for each in bag.topics} == dict.fromkeys(ALL, 3)
    assert contents(bag) == dict.fromkeys(ALL, 3)


@pytest.mark.parametrize('text', ['', '[1]', 'a: b: [', '{}', 'rosbag2_bagfile_information: 3'])
def test_metadata_that_says_nothing_is_not_used(tmp_path, text):
    folder = write_bag(tmp_path / 'odd', arm_messages(2))
    (folder / 'metadata.yaml').write_text(text)
    bag = Bag(folder)
    assert contents(bag) == dict.fromkeys(ALL, 2)
    (note,) = bag.notes
    assert note.startswith('metadata.yaml is not used: ')


def test_files_that_metadata_does_not_list_are_named_and_left_alone(tmp_path):
    folder = write_bag(tmp_path / 'one', arm_messages(2))
    (folder / 'old.mcap').write_bytes((folder / 'one.mcap').read_bytes())
    bag = Bag(folder)
    assert bag.notes == ['old.mcap is not read: metadata.yaml does not list it']
    assert contents(bag) == dict.fromkeys(ALL, 2)
    described(folder, lambda info, topics: info.update(relative_file_paths=[]))
    bag = Bag(folder)
    assert bag.notes == ['metadata.yaml lists none of the files that are there, and is not used']
    assert contents(bag) == dict.fromkeys(ALL, 4)


@pytest.mark.parametrize('mode', [CompressionMode.FILE, CompressionMode.MESSAGE])
def test_compressed_bags_are_read_as_metadata_says(tmp_path, mode):
    store, writer = ros2_types(), Writer(
        tmp_path / 'small', version=9, storage_plugin=StoragePlugin.SQLITE3
    )  # fmt: skip
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        known = {topic: writer.add_connection(topic, kind, typestore=store)
                 for topic, kind, *_ in arm_messages(1)}  # fmt: skip
        for topic, kind, log_ns, message in arm_messages(3):
            writer.write(known[topic], log_ns, store.serialize_cdr(message, kind))
    assert contents(Bag(tmp_path / 'small')) == dict.fromkeys(ALL, 3)


def test_what_is_neither_file_nor_folder_is_said_so(tmp_path):
    """A pipe ended in a traceback."""
    os.mkfifo(tmp_path / 'pipe.mcap')
    with pytest.raises(BagError, match='is not a bag: neither a file nor a folder'):
        Bag(tmp_path / 'pipe.mcap')
    (tmp_path / 'folder' / 'part.mcap').mkdir(parents=True)
    with pytest.raises(BagError, match='holds no bag'):
        Bag(tmp_path / 'folder')


def test_a_path_that_sqlite_misreads_is_named(tmp_path):
    """It was another file, or none."""
    folder = write_bag(tmp_path / 'run', arm_messages(2), plugin=StoragePlugin.SQLITE3)
    with pytest.raises(BagError, match=r"run#2/run\.db3: SQLite takes '#'"):
        Bag(folder.rename(tmp_path / 'run#2'))


def test_a_database_that_was_not_ended_says_what_is_missing(tmp_path):
    folder = write_bag(tmp_path / 'wal', arm_messages(2), plugin=StoragePlugin.SQLITE3)
    (folder / 'wal.db3-wal').write_bytes(b'pages')
    (note,) = Bag(folder).notes
    assert note.startswith('wal.db3-wal is not read: the recorder was killed')


def test_an_mcap_with_a_damaged_index_is_read_from_its_beginning(tmp_path):
    folder = write_bag(tmp_path / 'hit', arm_messages(4))
    path = folder / 'hit.mcap'
    data = bytearray(path.read_bytes())
    summary = int.from_bytes(data[-28:-20], 'little')
    data[summary : summary + 400] = b'\xff' * 400
    path.write_bytes(data)
    bag = Bag(folder)
    assert contents(bag) == dict.fromkeys(ALL, 4)
    assert bag.notes[0].startswith('hit.mcap is read without its index: ')


def test_the_name_of_a_bag_that_is_given_as_a_dot_is_its_own(tmp_path, monkeypatch):
    """It was empty, and what was written beside it was a hidden file."""
    monkeypatch.chdir(write_bag(tmp_path / 'run', arm_messages(1)))
    assert Bag(Path()).name == Bag(Path('..', 'run')).name == 'run'


def chunked(path, rows=60):
    """Write an MCAP file of many chunks; return it with the bytes and the place of its end."""
    data = write_mcap(path, arm_messages(rows), chunk_bytes=2000).read_bytes()
    return path, data, int.from_bytes(data[-28:-20], 'little')


def replayed(path):
    """Return the result of a replay to a toy."""
    policy = ToyPolicy(replace(joint_spec(), learned=False))
    return play(Job(Place(path), Contender('toy'), path), Bag(path), policy)


@pytest.mark.parametrize('damage', [b'\xff' * 500, b'?'])
def test_an_mcap_that_is_damaged_and_has_no_end_breaks_off(tmp_path, damage):
    """What came before the damage was scored as if it were all, and the exit code was 0."""
    path, data, end = chunked(tmp_path / 'hit.mcap')
    quarter = end // 4
    path.write_bytes(data[:quarter] + damage + data[quarter + len(damage) : end - 100])
    result = replayed(path)
    broken = result.report['bag']['broken']
    assert 0 < result.report['chunks'] < 20
    assert shortcomings(report_of([result])) == [broken]
    found = list(Bag(path).messages(ALL))[-1]
    start = f"hit.mcap: broken after topic '{found.topic}' at {at(found.log_ns)}: "
    assert broken.startswith(start)
    unread, _, size = broken.removeprefix(start).split()[:3]
    assert int(size) == path.stat().st_size
    assert int(size) * 0.74 < int(unread) < int(size) * 0.8
    assert broken.endswith(' bytes of hit.mcap cannot be read')


def test_a_message_that_was_cut_in_two_is_missed(tmp_path):
    path = write_mcap(tmp_path / 'cut.mcap', arm_messages(4), chunk_bytes=0)
    data = path.read_bytes()
    last = data.index(arm_messages(4)[-1][2].to_bytes(8, 'little'))
    path.write_bytes(data[: last + 40])
    bag = Bag(path)
    assert contents(bag) == {'/action': 4, '/image_raw': 3, '/joint_states': 4}
    assert bag.unread.startswith(f"cut.mcap: broken after topic '/action' at {at(START_NS)[:9]}")


def test_an_mcap_whose_messages_are_whole_is_whole_without_its_end(tmp_path):
    """Neither the index nor the end of a chunk's index holds a message."""
    path, data, end = chunked(tmp_path / 'killed.mcap', 20)
    data_end = end - 13
    for cut in (data_end, data_end + 5, end, end + 30, data_end - 3, data_end - 30):
        path.write_bytes(data[:cut])
        result = replayed(path)
        assert (result.report['chunks'], result.report['bag']['broken']) == (20, ''), cut
        assert shortcomings(report_of([result])) == []
        assert Bag(path).notes == [
            'killed.mcap has no end: its recorder was killed or a copy not finished'
        ]


def write_mcap(
    path, rows, *, profile='ros2', encoding='cdr', schema='ros2msg', text=None, chunk_bytes=10**6
):
    """Write an MCAP file as any program may; in no chunks where ``chunk_bytes`` is 0."""
    ros1 = encoding == 'ros1'
    store = ros1_types() if ros1 else ros2_types()
    with path.open('wb') as file:
        writer = McapWriter(file, chunk_size=chunk_bytes, use_chunking=chunk_bytes > 0,
                            compression=CompressionType.NONE)  # fmt: skip
        writer.start(profile=profile)
        channels = {}
        for topic, kind, log_ns, message in rows:
            if topic not in channels:
                found = store.generate_msgdef(kind, ros_version=1 if ros1 else 2)[0]
                name = kind.replace('/msg/', '/') if ros1 else kind
                given = found if text is None else text
                number = writer.register_schema(name, schema, given.encode())
                channels[topic] = writer.register_channel(topic, encoding, number)
            data = bytes((store.serialize_ros1 if ros1 else store.serialize_cdr)(message, kind))
            writer.add_message(channels[topic], log_time=log_ns, data=data, publish_time=log_ns)
        writer.finish()
    return path


def test_mcap_files_of_other_programs_are_read(tmp_path):
    """Without a profile, and as ROS 1 messages, as ``mcap convert`` makes them of old bags."""
    path = write_mcap(tmp_path / 'plain.mcap', arm_messages(2), profile='')
    assert contents(Bag(path)) == dict.fromkeys(ALL, 2)
    rows = arm_messages(2, maker=Maker(ros1=True))
    path = write_mcap(
        tmp_path / 'old.mcap', rows, profile='ros1', encoding='ros1', schema='ros1msg'
    )
    bag = Bag(path)
    assert {each.name: each.type for each in bag.topics}['/image_raw'] == IMAGE
    assert contents(bag) == dict.fromkeys(ALL, 2)


def test_an_empty_definition_is_none(tmp_path):
    """It hid the well-known type, and no message could be read."""
    bag = Bag(write_mcap(tmp_path / 'bare.mcap', arm_messages(2), text=' '))
    assert contents(bag) == dict.fromkeys(ALL, 2)


def test_messages_in_another_encoding_are_skipped_and_listed(tmp_path):
    for topic in Bag(write_mcap(tmp_path / 'a.mcap', arm_messages(1), encoding='json')).topics:
        assert topic.problem == "its messages are encoded as 'json'; cdr and ros1 are read"
    folder = write_bag(tmp_path / 'odd', arm_messages(1), plugin=StoragePlugin.SQLITE3)
    with sqlite3.connect(folder / 'odd.db3') as file:
        file.execute("UPDATE topics SET serialization_format = 'cbor'")
    assert all("encoded as 'cbor'" in topic.problem for topic in Bag(folder).topics)


def test_random_damage_never_ends_in_anything_but_a_bag_error(tmp_path):
    good = {
        plugin: write_bag(tmp_path / f'good{index}', arm_messages(6), plugin=plugin)
        for index, plugin in enumerate(StoragePlugin)
    }
    for seed in range(12):
        random = np.random.default_rng(seed)
        for plugin, folder in good.items():
            suffix = '.mcap' if plugin is StoragePlugin.MCAP else '.db3'
            data = bytearray(next(folder.glob(f'*{suffix}')).read_bytes())
            for place in random.integers(0, len(data), 30):
                data[place] = random.integers(256)
            path = tmp_path / f'bad{seed}{suffix}'
            path.write_bytes(data[: random.integers(len(data) // 2, len(data) + 1)])
            with suppress(BagError):
                for message in Bag(path).messages(ALL):
                    assert message.topic in ALL
