"""Figures of uncertainty and of reach show the numbers they are given."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from pictured import bars, make_reconstruction, panels
from scipy.stats import norm

from ocean_lib.plots import curves, verification

mpl.use("Agg")

CASES, METHODS = ("50 % blocks", "profiles"), ("reconstruction, as drawn", "reconstruction")


def by_case_and_method(make):
    """{(case, method): `make` of the factor by which the spread is too narrow}."""
    return {(case, m): make(k) for case in CASES for m, k in zip(METHODS, (0.6, 1.0), strict=True)}


def table(narrow):
    spread = np.linspace(0.1, 1, 6)
    return pd.DataFrame({"spread": narrow * spread, "rmse": spread, "n": 100})


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_reliability_draws_every_bin_and_the_diagonal():
    figure = verification.reliability_diagram(by_case_and_method(table), unit="g/kg")
    assert [axes.get_title() for axes in panels(figure)] == list(CASES)
    for axes in panels(figure):
        diagonal, raw, calibrated = axes.lines
        assert list(diagonal.get_xdata()) == list(diagonal.get_ydata())
        assert axes.get_xlim() == axes.get_ylim()
        np.testing.assert_allclose(raw.get_xdata(), 0.6 * raw.get_ydata())
        np.testing.assert_allclose(calibrated.get_xdata(), calibrated.get_ydata())
        assert axes.get_xlabel() == "Stated spread\n(g/kg)"
    assert legend(figure) == ["spread = error", *METHODS]
    with pytest.raises(ValueError, match="5 methods crowd one panel"):
        verification.reliability_diagram({("a", str(k)): table(1.0) for k in range(5)})


def test_rank_histogram_is_relative_to_uniform_with_its_band():
    counts = by_case_and_method(
        lambda narrow: np.array([30, 10, 10, 30]) if narrow < 1 else np.full(4, 20)
    )
    figure = verification.rank_histogram(counts, independent={CASES[0]: 75.0})
    first, second = panels(figure)
    heights = [[bar.get_height() for bar in bars_] for bars_ in first.containers]
    assert heights == [[1.5, 0.5, 0.5, 1.5], [1, 1, 1, 1]]
    band = [patch for patch in first.patches if patch.get_label() == "90 % band"][0]
    half = norm.ppf(0.95) * np.sqrt(0.25 * 0.75 / 75) * 4  # binomial, in units of a quarter
    assert band.get_height() == pytest.approx(2 * half)
    assert not [patch for patch in second.patches if patch.get_label() == "90 % band"]
    assert legend(figure) == ["90 % band", "uniform", *METHODS]


def test_skill_by_distance_marks_where_climatology_is_met():
    rows = [
        (method, case, d, s)
        for case in CASES
        for method, skills in (("linear", (0.8, 0.2, -0.2)), ("reconstruction", (0.9, 0.5, 0.3)))
        for d, s in zip((10, 20, 40), skills, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["method", "case", "distance", "skill"])
    figure = verification.skill_by_distance(table)
    for axes in panels(figure):
        lines = {line.get_label(): line for line in axes.lines}
        assert list(lines["reconstruction"].get_ydata()) == [0.9, 0.5, 0.3]
        assert lines["reconstruction"].get_linewidth() > lines["linear"].get_linewidth()
        marks = [line for line in axes.lines if len(line.get_xdata()) == 1]
        assert [tuple(mark.get_xydata()[0]) for mark in marks] == [(30, 0)]
    assert legend(figure) == ["reconstruction", "linear", "meets climatology"]


def test_a_method_looks_alike_with_and_without_climatology():
    methods = ["climatology", "linear", "background", "reconstruction"]
    every = curves.line_styles(methods, "reconstruction")
    assert curves.line_styles(methods[1:], "reconstruction").items() <= every.items()
    many = curves.line_styles([str(k) for k in range(15)], "14")
    assert len({(s["color"], s["linestyle"]) for s in many.values()}) == 15


def test_error_beside_spread_shares_limits_within_a_pair():
    reconstruction = make_reconstruction()
    figure = verification.error_beside_spread(reconstruction, depths=(0, 2, 100))
    maps = panels(figure)
    assert len(maps) == 2 * 2 * 2 and bars(figure) == ["°C"] * 4  # 0 and 2 m are one level
    limits = [axes.collections[-1].get_clim() for axes in maps]
    assert limits[::2] == limits[1::2] and len(set(limits)) == 4
    one = reconstruction.isel(case=1, time=0).sel(depth=109.729)
    drawn = maps[6].collections[-1].get_array()
    np.testing.assert_allclose(drawn, np.ma.masked_invalid(abs(one["mean"] - one.truth)))
    alone = verification.error_beside_spread(reconstruction, cases=["profiles 1.2 %"], depths=[500])
    assert len(panels(alone)) == 2
