"""Checks of the models on disk."""

from __future__ import annotations

from pathlib import Path
import time
from typing import TYPE_CHECKING

from sara_ros.core.errors import SaraError, describe
from sara_ros.evaluation.doctor.result import CheckResult, error, ok

if TYPE_CHECKING:
    from sara_ros.core import PolicySpec

RESTORE = 'restore the folder from where it came, or train it again: sara-ros train, uptrain'


def check_models(models_dir: Path) -> list[CheckResult]:
    """Check JSON, hash, architecture and tensors of each folder below ``models_dir``."""
    try:
        from sara_ros.policies.checkpoint import model_names
        from sara_ros.policies.loading import verify
    except Exception as err:  # torch is an installation of its own, and may fail in any way
        return [error('models', f'cannot be checked: {describe(err)}', 'see "Python packages"')]
    results, good = [], []
    try:
        names = model_names(models_dir)
    except SaraError as err:
        return [error('models', str(err), 'see the owner and permissions of the folder')]
    for name in names:
        try:
            verify(models_dir, name)
            good.append(name)
        except Exception as err:  # a broken model may raise anything, and must be told of
            results.append(error(f'model {name}', describe(err), RESTORE))
    if not good and not results:
        advice = 'name their folder with --models'
        return [error('models', f'{models_dir} holds none', advice)]
    if good:
        results.insert(0, ok('models', f'{", ".join(good)} verified'))
    return results


def check_policy(models_dir: Path, model_id: str) -> tuple[CheckResult, PolicySpec | None]:
    """Check that one model acts; also return its spec, None when it cannot be had."""
    name = f'policy {model_id}'
    try:
        from sara_ros.policies.loading import load_policy, warm_up

        started = time.monotonic()
        policy = load_policy(models_dir, model_id)
        warm_up(policy, count=1)
    except Exception as err:
        advice = 'name another one with --model, or see the model above'
        return error(name, f'does not act: {describe(err)}', advice), _spec(models_dir, model_id)
    return ok(name, f'loaded and acts, {time.monotonic() - started:.1f} s'), policy.spec


def _spec(models_dir: Path, model_id: str) -> PolicySpec | None:
    try:
        from sara_ros.policies.checkpoint import read

        return read(models_dir, model_id).checkpoint.spec
    except (SaraError, ImportError, OSError):
        return None
