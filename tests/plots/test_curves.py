"""Curves of scores and losses."""

import json

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from pictured import DEPTHS, make_reconstruction, panels

from ocean_lib.plots import curves

mpl.use("Agg")


def make_scores():
    rows = [
        {
            "method": method,
            "reference": "truth",
            "case": case,
            "layer": layer,
            "depth": depth,
            "block": block,
            "metric": "rmse",
            "value": value,
            "low": value * 0.9,
            "high": value * 1.1,
            "n": 900,
        }
        for case in ("blocks 50 %", "profiles 0.25 %")
        for method, size in (
            ("climatology", 2.0),
            ("linear", 1.0),
            ("optimal", 0.8),
            ("reconstruction", 0.6),
        )
        for layer, depth, block, value in [
            ("all", np.nan, None, size),
            ("100-300", np.nan, None, size),
            ("all", np.nan, 1, size),
        ]
        + [("", z, None, size * (0.2 + np.exp(-(((z - 120) / 200) ** 2)))) for z in DEPTHS]
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def reconstruction():
    return make_reconstruction()


def test_error_by_depth_puts_ours_in_front():
    figure = curves.error_by_depth(make_scores())
    assert [axes.get_title() for axes in panels(figure)] == ["blocks 50 %", "profiles 0.25 %"]
    for axes in panels(figure):
        widths = {line.get_label(): line.get_linewidth() for line in axes.lines}
        assert len(widths) == 4 and max(widths, key=widths.get) == "reconstruction"
        assert all(len(line.get_xdata()) == len(DEPTHS) for line in axes.lines)
        assert axes.get_xlabel() == "RMSE (°C)"
    with pytest.raises(ValueError, match="the metrics are"):
        curves.error_by_depth(make_scores(), metric="nonsense")


def test_loss_curve_reads_records_or_a_file(tmp_path):
    records = [
        {
            "step": i,
            "stage": stage,
            "loss": 1 / (i + 1) + 0.1,
            "learning_rate": 1e-3,
            "validation": 0.2 + 1 / (i + 1) if i % 5 == 0 else None,
            "seconds": 0.1 * i,
        }
        for stage in ("regression", "residual")
        for i in range(20)
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    for source in (records, path, str(path)):
        axes = panels(curves.loss_curve(source))
        assert [a.get_title() for a in axes] == ["Regression", "Residual"]
        assert all(a.get_yscale() == "log" for a in axes)
        assert len(axes[0].lines[0].get_xdata()) == 20 and len(axes[0].lines[1].get_xdata()) == 4
    negative = [record | {"loss": record["loss"] - 1} for record in records]
    assert panels(curves.loss_curve(negative))[0].get_yscale() == "linear"
    without = [{"step": 1, "stage": "diffusion", "loss": 0.5}]
    assert len(panels(curves.loss_curve(without))) == 1
