"""Install sara_ros as an ament_python package."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE_NAME = 'sara_ros'


def files_below(folder):
    """Pair each folder below `folder` with its files, as `data_files` wants them."""
    destination = Path('share') / PACKAGE_NAME
    pairs = {}
    for path in sorted(Path(folder).rglob('*')):
        if path.is_file() and '__pycache__' not in path.parts:
            pairs.setdefault(str(destination / path.parent), []).append(str(path))
    return list(pairs.items())


def requirements(name):
    """Return what a file of `requirements/` asks for."""
    lines = (Path('requirements') / name).read_text(encoding='utf-8').splitlines()
    return [line for line in lines if line and not line.startswith('#')]


setup(
    name=PACKAGE_NAME,
    version='0.1.0',
    description='Serve transformer robot policies with linear attention over ROS 2.',
    license='Apache-2.0',
    maintainer='sara_ros maintainers',
    maintainer_email='maintainers@sara-ros.invalid',
    python_requires='>=3.10',
    packages=find_packages(include=[PACKAGE_NAME, PACKAGE_NAME + '.*']),
    package_data={PACKAGE_NAME: ['**/*.xml', '**/*.html', '**/*.css', '**/*.js', 'py.typed']},
    data_files=[
        ('share/ament_index/resource_index/packages', ['resource/' + PACKAGE_NAME]),
        ('share/' + PACKAGE_NAME, ['package.xml']),
        *files_below('launch'),
        *files_below('config'),
        *files_below('models'),
    ],
    install_requires=['setuptools'],
    extras_require={'test': ['pytest'], 'ray': requirements('ray.txt')},
    zip_safe=False,
    entry_points={
        'console_scripts': [
            'sara-ros = sara_ros.cli.main:main',
            'policy = sara_ros.nodes.start:policy',
            'model_manager = sara_ros.nodes.start:model_manager',
            'simulator = sara_ros.nodes.start:simulator',
            'player = sara_ros.nodes.start:player',
            'bag_player = sara_ros.nodes.start:bag_player',
            'arm_driver = sara_ros.nodes.start:arm_driver',
            'joint_driver = sara_ros.nodes.start:joint_driver',
            'twist_repeater = sara_ros.nodes.start:twist_repeater',
            'gripper = sara_ros.nodes.start:gripper',
            'gazebo_scene = sara_ros.nodes.start:gazebo_scene',
        ],
    },
)
