"""The page of ablations: models that differ by one choice, from runs that took place."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
from uptraining.toys import write_frames, write_model

from sara_ros.core import ParameterError
from sara_ros.policies import checkpoint as checkpoints

ROOT = Path(__file__).parents[2]
SCRIPT = 'ablations'


@pytest.fixture(scope='module')
def docs(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the page of one study of a toy."""
    root = tmp_path_factory.mktemp('ablations')
    write_model(root / 'models', 'pct')
    write_frames(root / 'work/toy', 'pct')
    arms = (
        script.uptrained('toy', 'as it is', 'sara', 'b', transfer_steps=0, finetune_steps=0),
        script.uptrained('toy', 'a step', 'sara', transfer_steps=1, finetune_steps=0),
    )
    options = {
        '--models-dir': root / 'models', '--work': root / 'work', '--out': root / 'out',
        '--docs': root / 'docs', '--rounds': 1, '--held-out': 12, '--studies': 'toys',
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script, 'STUDIES', {'toys': script.Study('Toys', 'Odd.', 'points', arms)})
        assert script.main([str(each) for pair in options.items() for each in pair]) == 0
    return root / 'docs'


def test_arms_play_the_same_episodes(docs: Path):
    """The first is what the others are compared with."""
    (study,) = json.loads((docs / 'ablations.json').read_text())['studies']
    first, second = study['rows']
    assert first['episodes'] == second['episodes'] == 16
    assert first['sha256'] != second['sha256']
    assert 'against_first' not in first
    gap = second['against_first']['difference']
    assert gap == pytest.approx(second['success'] - first['success'])
    assert second['sequence'] == 32
    assert '| a step | 32 |' in (docs / 'ablations.md').read_text()


def test_learners_of_a_training_are_found(script: ModuleType, tmp_path: Path):
    """By name, among those of all trainings; a model that is not there is named."""
    write_model(tmp_path / 'work/run/learners', 'rt2', model_id='toy-step-4')
    places = script.Places(
        tmp_path / 'shipped', tmp_path / 'models', tmp_path / 'work', None, 1, 1, 1, 1
    )
    places.bring('toy-step-4')
    assert script.sequence_of(places.models, 'toy-step-4') > 0
    with pytest.raises(ParameterError, match=r"no model 'toy-step-5' in .*; train it first"):
        places.bring('toy-step-5')


def test_an_arm_decodes_otherwise(script: ModuleType, tmp_path: Path):
    """With the same weights."""
    write_model(tmp_path / 'shipped', 'rt2')
    places = script.Places(tmp_path / 'shipped', tmp_path, tmp_path, None, 1, 1, 1, 1)
    script.decoded('likeliest bin', 'toy', 'argmax').make(places)
    shipped, made = (checkpoints.read(tmp_path, name) for name in ('toy', 'toy-argmax'))
    assert made.checkpoint.model == {**shipped.checkpoint.model, 'decode': 'argmax'}
    assert shipped.checkpoint.model['decode'] == 'expectation'
    assert made.weights['sha256'] == shipped.weights['sha256']


def test_studies_have_distinct_models(script: ModuleType):
    """Two arms of one name would overwrite each other; arms of two studies may share a model."""
    for study in script.STUDIES.values():
        assert len({arm.model_id for arm in study.arms}) == len(study.arms)


def test_the_page_in_docs_is_made_from_its_json(script: ModuleType):
    """A page edited by hand, or a change of the script, would tell other numbers."""
    studies = json.loads((ROOT / 'docs/ablations.json').read_text())['studies']
    assert (ROOT / 'docs/ablations.md').read_text() == script.page(studies)
