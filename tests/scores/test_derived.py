"""Scores of derived quantities against loops; which columns and boxes count."""

import numpy as np
import pytest
import xarray as xr

from ocean_lib.fields.derived import derive
from ocean_lib.scores import derived, metrics
from ocean_lib.scores.score_table import COLUMNS

POTENTIAL = "sea_water_potential_temperature"
GRID = "time", "depth", "latitude", "longitude"
DEPTH = np.array([5.0, 60.0, 200.0, 500.0])
HEAT = "heat_content_100"


def drawn(dates=3, rows=16, columns=20, members=4, seed=0):
    """One case of a reconstruction with land, columns observed in part, and derived quantities."""
    rng = np.random.default_rng(seed)
    shape = dates, len(DEPTH), rows, columns
    ocean = np.ones(shape[1:], bool)
    ocean[:, :3, :9] = False
    ocean[1:, -2:] = False
    profile = 18 * np.exp(-DEPTH / 300)[:, None, None]
    truth = np.where(ocean, profile + rng.normal(0, 0.5, shape), np.nan)
    ensemble = truth[:, None] + rng.normal(0, 0.4, (dates, members, *shape[1:]))
    observed = np.zeros(shape, bool)
    observed[:, 1, 5, 4:8] = True  # one level of four columns
    place = {
        "time": np.arange("2000-01", "2001-01", dtype="M8[M]")[:dates].astype("M8[ns]"),
        "depth": DEPTH,
        "latitude": 60 + np.arange(rows) / 4,
        "longitude": -20 + np.arange(columns) / 4,
    }
    data = xr.Dataset(
        {
            "truth": (GRID, truth),
            "members": (("time", "member", *GRID[1:]), ensemble),
            "climatology": (GRID, np.where(ocean, profile + np.zeros(shape), np.nan)),
            "observed": (GRID, observed),
            "ocean": (GRID[1:], ocean),
        },
        place,
    )
    data["mean"] = data["members"].mean("member")
    return data


def with_derived(data, *names):
    for name in names:
        for part in ("truth", "members"):
            fields = data[["ocean", part]].rename({part: "temperature"})
            data[f"{name}_{part}"] = derive(fields, [name])[name]
        members = data[f"{name}_members"]
        data[f"{name}_mean"] = members.mean("member", skipna=False)
        data[f"{name}_error"] = members.std("member", ddof=1)
    return data


def scored(data, methods=None, lines=None):
    methods = {"climatology": data["climatology"]} | (methods or {})
    methods = {name: xr.Dataset({"mean": mean}) for name, mean in methods.items()}
    show = (lambda line: None) if lines is None else lines.append
    return derived.score_derived(data, methods, case="c", standard_name=POTENTIAL, show=show)


def pick(scores, method, metric, layer):
    rows = scores.query("method == @method and metric == @metric and layer == @layer")
    rows = rows[rows.reference == "truth"]
    assert len(rows) == 1
    return rows.iloc[0]


def test_columns_nobody_observed_are_scored_as_by_hand():
    lines, data = [], with_derived(drawn(), HEAT)
    other = data["truth"] + 0.3
    scores = scored(data, {"other": other}, lines)
    assert list(scores.columns) == COLUMNS and set(scores.variable) == {HEAT}
    truth = data[f"{HEAT}_truth"].values.astype(float)
    count = np.isfinite(truth) & ~data.observed.any("depth").values
    assert "left out are 12 observed ones and 0 where" in lines[0]
    weight = np.cos(np.deg2rad(data.latitude.values))[:, None] * count
    mean = data[f"{HEAT}_mean"].values.astype(float)
    rmse = np.sqrt(np.nansum(weight * (mean - truth) ** 2) / weight.sum())
    row = pick(scores, "reconstruction", "rmse", "columns")
    assert row.value == pytest.approx(rmse, rel=1e-4) and row.n == count.sum()
    members = data[f"{HEAT}_members"].transpose("member", ...).values.astype(float)
    crps = metrics.terms(mean, truth, members=members)["crps"]
    crps = np.nansum(weight * crps) / weight.sum()
    assert pick(scores, "reconstruction", "crps", "columns").value == pytest.approx(crps, rel=1e-3)
    # A method without an error: the quantity of its mean field, and no CRPS.
    fields = xr.Dataset({"temperature": other, "ocean": data.ocean})
    error = derive(fields, [HEAT])[HEAT].values.astype(float) - truth
    expected = np.nansum(weight * abs(error)) / weight.sum()
    assert pick(scores, "other", "bias", "columns").value == pytest.approx(expected, rel=1e-3)
    assert {"spread_skill", "coverage", "rmse_difference"} <= set(scores.metric)
    assert not scores.metric.str.startswith(("ssim", "psnr")).any()
    assert not {"crps", "spread", "coverage"} & set(scores[scores.method == "other"].metric)


def by_loop(field, known, hidden, data, degrees):
    """{box: mean} of one date over its hidden cells of a quarter of a degree."""
    found = {}
    latitude = data.latitude.values
    size = round(4 * degrees)
    for top in range(0, field.shape[0], size):
        for left in range(0, field.shape[1], size):
            part = np.s_[top : top + size, left : left + size]
            area = np.cos(np.deg2rad(latitude))[top : top + size, None] * known[part]
            middle = latitude[0] - 1 / 8 + (top / 4 + degrees / 2)
            if area.sum() / 16 < 0.5 * degrees**2 * np.cos(np.deg2rad(middle)):
                continue
            area, where = area * hidden[part], (known & hidden)[part]
            if where.any():
                found[top, left] = (area * np.where(where, field[part], 0)).sum() / area.sum()
    return found


@pytest.mark.parametrize("degrees", [1.0, 3.0])
def test_boxes_are_means_of_hidden_columns_by_area_where_half_has_a_value(degrees):
    data = with_derived(drawn(), HEAT)
    field = data[f"{HEAT}_members"]
    known, hidden = data[f"{HEAT}_truth"].notnull(), ~data.observed.any("depth")
    hidden[1, :4, :4] = False  # a box that is observed throughout
    means = derived.box_means(field, known, hidden, degrees)
    assert means.dims == field.dims
    expected = by_loop(field.values[1, 2], known.values[1], hidden.values[1], data, degrees)
    shown = means.isel(time=1, member=2).values
    assert np.isfinite(shown).sum() == len(expected) < shown.size
    for (top, left), value in expected.items():
        box = round(top / 4 / degrees), round(left / 4 / degrees)
        assert shown[box] == pytest.approx(value, rel=1e-5)


def test_box_means_of_heat_are_scored_and_those_of_other_quantities_not():
    lines, data = [], with_derived(drawn(), HEAT, "isotherm_10")
    scores = scored(data, lines=lines)
    assert set(scores[scores.variable == HEAT].layer) == {"columns", "1° boxes", "3° boxes"}
    assert set(scores[scores.variable == "isotherm_10"].layer) == {"columns"}
    truth, mean = (data[f"{HEAT}_{part}"] for part in ("truth", "mean"))
    known, hidden = truth.notnull().values, ~data.observed.any("depth").values
    assert not hidden.all()
    pairs = []
    for date in range(3):
        boxes = [
            by_loop(field.values[date], known[date], hidden[date], data, 1.0)
            for field in (mean, truth)
        ]
        pairs += [(box, middle, boxes[1][box]) for box, middle in boxes[0].items()]
    weight = [np.cos(np.deg2rad(60 - 1 / 8 + top / 4 + 0.5)) for (top, _), _, _ in pairs]
    square = [(one - other) ** 2 for _, one, other in pairs]
    row = pick(scores, "reconstruction", "rmse", "1° boxes")
    assert row.value == pytest.approx(np.sqrt(np.average(square, weights=weight)), rel=1e-3)
    assert row.n == len(pairs) and f"{len(pairs)} means over boxes of 1° scored" in lines[1]


def test_a_column_where_a_method_has_no_value_is_left_out_and_counted():
    lines, data = [], with_derived(drawn(), "isotherm_10")
    warm = data["truth"].copy()
    warm[0, :, 10, 10] = 30.0
    scores = scored(data, {"warm": warm}, lines)
    truth, mean = (data[f"isotherm_10_{part}"] for part in ("truth", "mean"))
    normal = derive(data[["ocean"]].assign(temperature=data.climatology), ["isotherm_10"])
    known = truth.notnull() & mean.notnull() & normal.isotherm_10.notnull()
    known[0, 10, 10] = False
    assert f"and {int((truth.notnull() & ~known).sum())} where a method has no value" in lines[0]
    row = pick(scores, "warm", "rmse", "columns")
    assert row.n == int((known & ~data.observed.any("depth")).sum())


def test_without_derived_quantities_there_is_no_row():
    assert scored(drawn()).empty


def test_the_tables_are_in_the_unit_of_the_figures():
    data = with_derived(drawn(), HEAT, "isotherm_10")
    scores = scored(data)
    texts = list(derived.derived_tables(scores, "rmse", "RMSE"))
    assert len(texts) == 2 and texts[0].startswith(
        "| heat_content_100 · RMSE (GJ m⁻²) | c, columns"
    )
    heat = scores[scores.variable == HEAT]
    value = pick(heat, "reconstruction", "rmse", "columns").value
    assert f"{value * 1e-9:.3f}" in texts[0] and "c, 3° boxes" in texts[0]
    assert texts[1].startswith("| isotherm_10 · RMSE (m) | c, columns |")
