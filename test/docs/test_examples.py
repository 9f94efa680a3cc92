"""The examples of the documentation run, and the page explains all that they write."""

from __future__ import annotations

import json
import re

from docs.documents import DOCS
import pytest
from reference.example import export
import torch

from sara_ros.policies.loading import load_policy, synthetic_observation, verify


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_export_makes_a_model_that_serves(tmp_path):
    assert 'my-arm: 4 actions of 8 numbers' in export(tmp_path)
    verify(tmp_path, 'my-arm')
    policy = load_policy(tmp_path, 'my-arm')
    assert policy.act(synthetic_observation(policy.spec)).values.shape == (4, 8)


def test_every_field_of_policy_json_is_explained(tmp_path, pages):
    export(tmp_path)
    data = json.loads((tmp_path / 'my-arm' / 'policy.json').read_text(encoding='utf-8'))
    fields = {*data, *data['spec'], *data['spec']['observations'][0], *data['spec']['action']}
    explained = set(re.findall(r'^\| `([^`]+)` \|', pages['bring-your-model.md'], re.MULTILINE))
    named = {part for name in explained for part in name.replace('[]', '').split('.')}
    assert fields - named - {'spec'} == set()


def test_the_operator_script_is_python():
    compile((DOCS / 'examples' / 'operate.py').read_text(encoding='utf-8'), 'operate.py', 'exec')
