"""What ``sara-ros train`` says at the end."""

from sara_ros.cli.train import held_out_table


def test_held_out_error_beside_the_baselines():
    """All three are stated with the model's own, on the same frames."""
    baselines = {'training_mean': 0.086, 'copy_state': 0.0192, 'copy_previous_action': 0.00213}
    metrics = {
        'mean_absolute_error': 0.0188, 'held_out_frames': 711, 'baselines': baselines
    }  # fmt: skip
    assert held_out_table(metrics).splitlines() == [
        'mean absolute error on 711 held-out frames',
        'this model            0.0188',
        'training mean         0.0860',
        'copy state            0.0192',
        'copy previous action  0.0021',
    ]
