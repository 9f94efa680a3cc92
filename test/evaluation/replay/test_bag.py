"""Reading bags of every kind, whole and broken, without ROS."""

from pathlib import Path
import re
import sqlite3
import subprocess
import sys

from evaluation.replay.bags import (
    IMAGE,
    JOINT_STATE,
    MAKER,
    MS,
    START_NS,
    STRING,
    Maker,
    arm_messages,
    write_bag,
    write_ros1_bag,
)
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
import yaml

from sara_ros.decoding.images import decode_compressed, decode_image
from sara_ros.evaluation.replay.bag import Bag
from sara_ros.evaluation.replay.messages import BagError, at

BAGS = Path(__file__).parents[4] / 'shared' / 'data' / 'bags'
needs_bags = pytest.mark.skipif(not BAGS.is_dir(), reason='../shared/data/bags is not here')
ALL = ('/image_raw', '/joint_states', '/action')


def contents(bag, topics=ALL):
    """Return topic, time of recording and message of everything."""
    return [(each.topic, each.log_ns, each.read()) for each in bag.messages(topics)]


@pytest.mark.parametrize('plugin', list(StoragePlugin))
def test_both_storages_give_every_message_in_order(tmp_path, plugin):
    bag = Bag(write_bag(tmp_path / 'bag', arm_messages(5), plugin=plugin))
    assert [(each.name, each.type, each.count) for each in bag.topics] == [
        ('/action', JOINT_STATE, 5), ('/image_raw', IMAGE, 5), ('/joint_states', JOINT_STATE, 5),
    ]  # fmt: skip
    found = contents(bag)
    assert [log_ns for _, log_ns, _ in found] == sorted(row[2] for row in arm_messages(5))
    last = [message for topic, _, message in found if topic == '/joint_states'][-1]
    np.testing.assert_allclose(last.position, [0.4, -0.4])
    assert [topic for topic, *_ in contents(bag, {'/action'})] == ['/action'] * 5
    assert contents(bag, {'/nothing'}) == []


def test_ros1_bags_give_the_same_messages(tmp_path):
    rows = arm_messages(5, maker=Maker(ros1=True))
    bag = Bag(write_ros1_bag(tmp_path / 'old.bag', rows))
    assert bag.kind == 'ROS 1 bag'
    image = [message for topic, _, message in contents(bag) if topic == '/image_raw'][3]
    np.testing.assert_array_equal(decode_image(image), np.full((4, 6, 3), 3, np.uint8))


@pytest.mark.parametrize('plugin', list(StoragePlugin))
def test_split_files_without_metadata_are_merged_by_time(tmp_path, plugin):
    """Their times overlap, and their names are in another order."""
    suffix = '.mcap' if plugin is StoragePlugin.MCAP else '.db3'
    folder = tmp_path / 'split'
    folder.mkdir()
    rows = arm_messages(11)
    for part in range(11):
        made = write_bag(tmp_path / f'part{part}', rows[part::11], plugin=plugin)
        next(made.glob(f'*{suffix}')).rename(folder / f'split_{part}{suffix}')
    bag = Bag(folder)
    assert [topic.count for topic in bag.topics] == [11, 11, 11]
    assert [each[1] for each in contents(bag)] == sorted(row[2] for row in rows)


def test_split_files_with_metadata_are_read_in_its_order(tmp_path):
    bag = write_bag(tmp_path / 'split', arm_messages(2))
    more = write_bag(tmp_path / 'more', arm_messages(6)[6:])
    (more / 'more.mcap').rename(bag / 'split_1.mcap')
    meta = bag / 'metadata.yaml'
    data = yaml.safe_load(meta.read_text())
    data['rosbag2_bagfile_information']['relative_file_paths'].append('split_1.mcap')
    meta.write_text(yaml.safe_dump(data))
    assert len(contents(Bag(bag))) == 18


def test_a_type_is_read_by_the_definition_in_the_bag(tmp_path):
    """A package that nobody here has, and a change of a type that everybody has."""
    store = get_typestore(Stores.EMPTY)
    text = 'std_msgs/Header header\nfloat64 grip\nstring[] name\n'
    text += f'{"=" * 80}\nMSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n'
    for name in ('shop_msgs/msg/Grip', JOINT_STATE):
        store.register(get_types_from_msg(text, name))
    maker = Maker(store)
    rows = [
        (f'/{name.split("/")[0]}', name, START_NS, store.types[name](maker.header(7), 0.5, ['a']))
        for name in ('shop_msgs/msg/Grip', JOINT_STATE)
    ]
    bag = Bag(write_bag(tmp_path / 'own', rows, store=store))
    found = contents(bag, ('/shop_msgs', '/sensor_msgs'))
    assert [message.grip for *_, message in found] == [0.5, 0.5]
    assert not any(topic.problem for topic in bag.topics)


def without_definitions(folder):
    """Remove the type definitions of a sqlite bag, as older recorders leave them out."""
    with sqlite3.connect(next(folder.glob('*.db3'))) as file:
        file.execute('DELETE FROM message_definitions')
    return folder


def test_a_type_that_nobody_knows_is_skipped_and_listed(tmp_path):
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg('int32 a\n', 'shop_msgs/msg/Number'))
    number = store.types['shop_msgs/msg/Number'](3)
    rows = [('/count', 'shop_msgs/msg/Number', START_NS, number)]
    folder = write_bag(tmp_path / 'odd', rows, plugin=StoragePlugin.SQLITE3, store=store)
    (topic,) = Bag(without_definitions(folder)).topics
    assert topic.name == '/count'
    assert topic.problem == (
        "type 'shop_msgs/msg/Number' is not known, and the bag embeds no definition of it"
    )
    assert contents(Bag(folder), {'/count'}) == []


def test_our_own_messages_need_no_definition_in_the_bag(tmp_path):
    rows = [('/policy/action', 'sara_ros_msgs/msg/EndEffectorAction', START_NS,
             MAKER.action(START_NS, 0.25))]  # fmt: skip
    folder = write_bag(tmp_path / 'ours', rows, plugin=StoragePlugin.SQLITE3)
    ((_, _, message),) = contents(Bag(without_definitions(folder)), {'/policy/action'})
    assert message.delta.linear.x == 0.25


def test_a_definition_that_cannot_be_parsed_is_named(tmp_path):
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg('int32 a\n', 'shop_msgs/msg/Number'))
    rows = [('/count', 'shop_msgs/msg/Number', START_NS, store.types['shop_msgs/msg/Number'](3))]
    folder = write_bag(tmp_path / 'odd', rows, plugin=StoragePlugin.SQLITE3, store=store)
    with sqlite3.connect(next(folder.glob('*.db3'))) as file:
        file.execute("UPDATE message_definitions SET encoded_message_definition = 'int32 = ?('")
    (topic,) = Bag(folder).topics
    assert 'its definition in the bag cannot be read' in topic.problem


def test_a_topic_of_two_types_is_not_used(tmp_path):
    rows = [
        ('/mixed', STRING, START_NS, MAKER.string('a')),
        ('/mixed', JOINT_STATE, START_NS, MAKER.joints(START_NS, (0, 0))),
    ]
    (topic,) = Bag(write_bag(tmp_path / 'mixed', rows)).topics
    assert topic.count == 2
    assert "holds both 'std_msgs/msg/String' and 'sensor_msgs/msg/JointState'" in topic.problem


@pytest.mark.parametrize('share', [0.25, 0.5, 0.8, 0.999])
def test_an_mcap_whose_recorder_was_killed_is_read_as_far_as_it_goes(tmp_path, share):
    folder = write_bag(tmp_path / 'killed', arm_messages(200))
    path = folder / 'killed.mcap'
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    bag = Bag(folder)
    assert bag.notes == ['killed.mcap has no end: its recorder was killed or a copy not finished']
    found = contents(bag)
    assert found == [] or found[0][1] == START_NS + 5 * MS
    assert sum(topic.count for topic in bag.topics) == len(found) <= 600


@pytest.mark.parametrize('suffix', ['.mcap', '.db3', '.bag'])
@pytest.mark.parametrize('kind', ['empty', 'noise', 'half'])
def test_a_broken_file_is_named_and_nothing_else_escapes(tmp_path, suffix, kind):
    rows = arm_messages(40, maker=Maker(ros1=suffix == '.bag'))
    if suffix == '.bag':
        data = write_ros1_bag(tmp_path / 'good.bag', rows).read_bytes()
    else:
        plugin = StoragePlugin.MCAP if suffix == '.mcap' else StoragePlugin.SQLITE3
        folder = write_bag(tmp_path / 'good', rows, plugin=plugin)
        data = next(folder.glob(f'*{suffix}')).read_bytes()
    noise = np.random.default_rng(1).integers(0, 256, 5000, np.uint8).tobytes()
    broken = {'empty': b'', 'noise': noise, 'half': data[: len(data) // 2]}[kind]
    path = tmp_path / f'broken{suffix}'
    path.write_bytes(broken)
    if (suffix, kind) == ('.mcap', 'half'):
        assert len(contents(Bag(path))) < 120
        return
    with pytest.raises(BagError, match='broken') as caught:
        contents(Bag(path))
    assert '\n' not in str(caught.value)
    assert ('cut off can be mended' in str(caught.value)) == (suffix != '.mcap')


def test_damage_in_the_middle_names_the_last_topic_and_stamp(tmp_path):
    pixels = np.zeros(300 * 300 * 3, np.uint8)
    rows = [
        ('/image_raw', IMAGE, START_NS + row * MS,
         MAKER.image(START_NS, height=300, width=300, data=pixels))
        for row in range(40)
    ]  # fmt: skip
    folder = write_bag(tmp_path / 'hit', rows)
    path = folder / 'hit.mcap'
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400_000] = b'\xff' * 400_000
    path.write_bytes(data)
    with pytest.raises(BagError) as caught:
        contents(Bag(folder))
    assert str(caught.value).startswith("hit: broken after topic '/image_raw' at 1700000000.1")
    assert re.search(r', \d+ of 40 messages unread: ', str(caught.value))


@pytest.mark.parametrize(
    ('name', 'text'),
    [('nowhere', 'does not exist'), ('notes.txt', 'is not a bag'), ('folder', 'holds no bag')],
)
def test_what_is_no_bag_is_said_so(tmp_path, name, text):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'notes.txt').write_text('hello')
    with pytest.raises(BagError, match=text):
        Bag(tmp_path / name)


@pytest.mark.parametrize(
    ('stamp_ns', 'text'),
    [(0, '0.000000000'), (-1, '-0.000000001'), (1_000_000_002, '1.000000002')],
)
def test_stamps_keep_every_digit(stamp_ns, text):
    assert at(stamp_ns) == text


@needs_bags
def test_a_real_bag_with_legacy_names_and_no_metadata():
    bag = Bag(BAGS / 'phone_sample')
    assert {topic.name: topic.type for topic in bag.topics}['/image'] == IMAGE
    assert not any(topic.problem for topic in bag.topics)
    topics = ('/image', '/image/compressed', '/imu')
    found = {topic: message for topic, _, message in contents(bag, topics)}
    image = found['/image']
    assert decode_image(image).shape == (image.height, image.width, 3)
    assert decode_compressed(found['/image/compressed']).ndim == 3


def test_a_missing_split_file_leaves_the_others(tmp_path):
    folder = write_bag(tmp_path / 'lost', arm_messages(2))
    meta = folder / 'metadata.yaml'
    data = yaml.safe_load(meta.read_text())
    data['rosbag2_bagfile_information']['relative_file_paths'].append('lost_1.mcap')
    meta.write_text(yaml.safe_dump(data))
    bag = Bag(folder)
    assert bag.notes == ['metadata.yaml lists lost_1.mcap, which is not there']
    assert len(contents(bag)) == 6


@needs_bags
def test_a_real_arm():
    bag = Bag(BAGS / 'ur3_move')
    found = contents(bag, {'/joint_states'})
    assert len(found) == 1052
    assert len(found[0][2].name) == len(found[0][2].position)


def test_replay_needs_no_ros():
    """The whole path can be imported where rclpy and the messages cannot."""
    code = (
        'import sys\n'
        'class Refuse:\n'
        '    def find_spec(self, name, *_):\n'
        '        if name.split(".")[0] in ("rclpy", "sensor_msgs", "sara_ros_msgs", "std_msgs"):\n'
        '            raise ImportError(name)\n'
        'sys.meta_path.insert(0, Refuse())\n'
        'import sara_ros.cli.replay\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True, timeout=60)
