"""Members within the bounds of sea water, against gsw."""

import gsw
import netCDF4
import numpy as np
import pytest
import torch
import xarray as xr
from tiny import astir, densifier

from ocean_lib.fields import conventions
from ocean_lib.fields.bounds import describe_bounded, read_bounded, set_to_bounds
from ocean_lib.observations.batch import observe
from ocean_lib.reconstruct.ensemble import reconstruct
from ocean_lib.reconstruct.sampling import Sampling

DEPTH, LATITUDE = np.array([5.0, 500.0]), np.array([-70.0, -69.0, -68.0])
SHAPE = 4, 2, 3, 5  # members, levels, rows, columns


def made():
    """Members about the freezing point and about salinities of 1, with land."""
    rng = np.random.default_rng(0)
    members = {
        "temperature": rng.normal(-1.5, 1.0, SHAPE).astype("f4"),
        "salinity": rng.normal(1.0, 1.0, SHAPE).astype("f4"),
    }
    members["salinity"][0, 0, 0] = 50.0
    for values in members.values():
        values[:, 1, :, 0] = np.nan
    known = {name: rng.random((1, *SHAPE[1:])) < 0.2 for name in members}
    return members, known


@pytest.mark.parametrize(
    "kind", [conventions.POTENTIAL, conventions.IN_SITU, conventions.CONSERVATIVE]
)
@pytest.mark.parametrize("salty", [True, False])
def test_values_beyond_a_bound_are_set_to_it_and_counted(kind, salty):
    members, known = made()
    names = ["temperature", "salinity"] if salty else ["temperature"]
    before = {name: members[name].copy() for name in names}
    after = {name: members[name] for name in names}
    number = set_to_bounds(after, known, DEPTH, LATITUDE, kind)
    set_to, expected = dict.fromkeys(names, 0), {name: before[name].copy() for name in names}
    for at in np.ndindex(SHAPE):
        seen = {name: known[name][0][at[1:]] for name in names}
        salinity = 35.0
        if salty:
            salinity = value = float(before["salinity"][at])
            if not seen["salinity"] and (value < 0 or value > 42):
                salinity, set_to["salinity"] = min(max(value, 0.0), 42.0), set_to["salinity"] + 1
            expected["salinity"][at] = salinity
        absolute = max(salinity, 0) * 35.16504 / 35
        pressure = gsw.p_from_z(-DEPTH[at[1]], LATITUDE[at[2]])
        lowest = gsw.t_freezing(absolute, pressure, 1.0)
        if kind == conventions.POTENTIAL:
            lowest = gsw.pt0_from_t(absolute, lowest, pressure)
        elif kind == conventions.CONSERVATIVE:
            lowest = gsw.CT_from_t(absolute, lowest, pressure)
        if before["temperature"][at] < lowest and not seen["temperature"]:
            set_to["temperature"] += 1
            expected["temperature"][at] = lowest
    assert number == set_to and all(count > 5 for count in number.values())
    for name in names:
        np.testing.assert_allclose(after[name], expected[name], atol=1e-4)


def test_members_leave_the_network_above_freezing_and_observations_stay(small_store):
    """The climatology is taken to the freezing point, and one cell is observed below it."""
    model = astir(densifier(small_store), size=0.05)
    fields = small_store.fields("test").isel(time=slice(0, 2))
    seen = observe(fields, {"pattern": "pixels", "observed": 0.02}, seed=3)
    shift = fields.temperature.mean().item() + 2.0
    seen = seen.assign(value=seen.value - shift)
    harmonic = model.statistics["harmonic"]
    first = np.arange(harmonic.sizes["term"]) == 0
    colder = harmonic - shift * xr.DataArray(first, dims="term")
    model.statistics["harmonic"] = colder.transpose(*harmonic.dims).astype("f4")
    with torch.no_grad():
        drawn = reconstruct(model, seen, members=3, sampling=Sampling(1))
    ocean = fields.ocean.values
    pressure = gsw.p_from_z(-fields.depth.values[:, None, None], fields.latitude.values[:, None])
    lowest = gsw.pt_from_CT(35.165, gsw.CT_freezing(35.165, pressure, 1))
    hidden = ocean & ~seen.observed.values
    members = drawn.members.transpose("member", "time", "depth", ...).values
    assert (members >= lowest - 1e-5)[:, hidden].all()
    cold = (seen.value.values < lowest) & seen.observed.values
    assert cold.any()
    np.testing.assert_allclose(members[:, cold] - seen.value.values[cold], 0, atol=1e-3)
    at = np.isclose(members, lowest, atol=1e-5)
    number = (at & hidden).sum()
    assert number > 100 and "salinities" not in drawn.bounds
    assert f": {number:,} temperatures (freezing point)" in drawn.bounds


def test_the_files_of_dates_add_up_and_say_so(tmp_path):
    for number in range(2):
        with netCDF4.Dataset(tmp_path / f"{number}.nc", "w") as file:
            file.setncatts({"bounded": 3 + number, "salinity_bounded": 1000})
    number = read_bounded(sorted(tmp_path.glob("*.nc")))
    assert number == {"bounded": 7, "salinity_bounded": 2000}
    assert describe_bounded(number).endswith(
        ": 7 temperatures (freezing point), 2,000 salinities (0 to 42)"
    )
