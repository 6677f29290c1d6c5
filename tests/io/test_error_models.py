"""Error models from files: the shipped ones, a user's own, and what a wrong file is told."""

import numpy as np
import pytest

from sjplan.core.errors import InputError
from sjplan.io.error_models import read_error_models


def test_every_shipped_model_says_where_it_comes_from():
    for model in read_error_models().values():
        assert model.sources
        assert model.mean_tip_error_mm > 1
        assert model.mean_angle_deg > 1


@pytest.mark.parametrize(
    ("name", "tip", "angle"),
    [("fluoro-planned", 4.9, 4.0), ("robot", 2.1, 2.4), ("ar", 3.99, 4.3)],
)
def test_published_figures(name, tip, angle):
    """KAMP23, EXCEL, ARPELV."""
    model = read_error_models()[name]
    assert model.mean_tip_error_mm == pytest.approx(tip, abs=0.005)
    assert model.mean_angle_deg == pytest.approx(angle, abs=0.005)


def test_own_file_adds_a_model(tmp_path):
    file = tmp_path / "own.toml"
    rows = np.diag([1.0, 2, 3, 4, 5]).tolist()
    file.write_text(f'[errors.ours]\nsummary = "ours"\ncovariance = {rows}\nlabel_sigma_mm = 0.5\n')
    models = read_error_models(file)
    assert models["ours"].covariance == pytest.approx(np.diag([1.0, 2, 3, 4, 5]))
    assert "robot" in models


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("covariance = [[1, 0], [0, 1]]", "covariance: found rows of .* wanted five rows of five"),
        (f"covariance = {np.diag([1.0, 1, 1, 1, -2]).tolist()}", "covariance: found an eigenvalue of -2; wanted a pos"),
        ("tip_sigma_mm = 1.0", "found neither a covariance nor all three deviations"),
        (f"tip_sigma_mm = 1.0\ncovariance = {np.eye(5).tolist()}", "found a covariance and deviations"),
        ("tip_sigma_mm = -1.0\ndepth_sigma_mm = 1.0\ntilt_sigma_deg = 1.0", "tip_sigma_mm"),
    ],
)
def test_wrong_file_is_told_in_one_line(tmp_path, body, message):
    file = tmp_path / "own.toml"
    file.write_text(f'[errors.ours]\nsummary = "ours"\n{body}\n')
    with pytest.raises(InputError, match=message) as caught:
        read_error_models(file)
    assert "\n" not in str(caught.value)
