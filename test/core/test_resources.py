"""Folders of the package, and ROS domains of one's own."""

import pytest

from sara_ros.core import ParameterError, ros_domains
from sara_ros.core.resources import package_folder
from sara_ros.core.ros_domains import DOMAINS, claim_domain


def test_folders_lie_beside_the_package():
    assert (package_folder('config') / 'policy.yaml').is_file()


def test_an_installed_package_finds_its_folders_in_a_prefix(tmp_path, monkeypatch):
    folder = tmp_path / 'share' / 'sara_ros' / 'spare'
    folder.mkdir(parents=True)
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'/nowhere:{tmp_path}')
    assert package_folder('spare') == folder
    with pytest.raises(ParameterError, match=r"folder 'other' .* AMENT_PREFIX_PATH"):
        package_folder('other')


def test_domains_are_claimed_once_and_released():
    with claim_domain() as one, claim_domain() as two:
        assert one != two
        assert {one, two} <= set(DOMAINS)
    with claim_domain() as again:
        assert again in DOMAINS


def test_too_many_sessions_are_told_so(monkeypatch, tmp_path):
    monkeypatch.setattr(ros_domains, 'DOMAINS', range(3, 5))
    monkeypatch.setattr(ros_domains.tempfile, 'gettempdir', lambda: str(tmp_path))
    with claim_domain(), claim_domain(), pytest.raises(ParameterError, match='all 2 ROS domains'):
        claim_domain().__enter__()
