"""What a field is: temperature on latitude, longitude, depth and time, with the ocean beside it.

Every gridded file, whatever its names, signs and units, becomes one canonical `xarray.Dataset`:
`temperature (time, depth, latitude, longitude)`, float32, °C, NaN outside the ocean, and
`ocean (depth, latitude, longitude)`, bool. Times ascend; depth is in m, positive down, ascending;
latitude and longitude ascend, longitude without a break, its west edge in [-180, 180). Further
variables, salinity first among them, may ride along on the same grid and in the same ocean.

Temperature is potential: in-situ and conservative temperature are converted where salinity lies
beside them, and otherwise keep the standard_name of what they are. Kinds are never mixed.

What is missing is what the file's own fill says (decoded on the raw numbers), never a value such as
0. The ocean is static: a cell counts where every variable holds a value at all times; cells where
only some do, or at some times, are left out, and counted in `attrs["n_intermittent"]`. Values stay
lazy; the ocean costs one pass through the data, which also bounds the values.
"""

import zlib
from contextlib import ExitStack
from functools import partial

import numpy as np
import xarray as xr

from ocean_lib.core.chunks import DECODING_BYTES, run_tasks, select_box, spatial_boxes, survey_box
from ocean_lib.fields.axes import take
from ocean_lib.fields.conventions import (
    CONSERVATIVE,
    DIMS,
    FRESHEST,
    HIGHEST,
    IN_SITU,
    LOWEST,
    POTENTIAL,
    SALTIEST,
)
from ocean_lib.fields.files import find_files, open_file
from ocean_lib.fields.recognition import arrange, canonical_names
from ocean_lib.fields.seawater import to_potential
from ocean_lib.fields.selection import check_region, nearest_levels, select_period, select_region

__all__ = ["to_canonical", "check_canonical", "check_values", "open_fields", "seen_from_above"]


DAMAGE = (OSError, RuntimeError, ValueError, KeyError, EOFError, zlib.error)  # of a stored block


def open_fields(paths, *, region=None, depths=None, times=None, variables=()):
    """Open gridded files as one canonical dataset, cut to what is asked for.

    paths: a path, a glob, a folder (searched through) or a list of them; NetCDF or Zarr
    region: (west, east, south, north), degrees; west > east crosses the date line
    depths: depths in m, each giving its nearest level; all levels where None
    times: (first, last), inclusive, such as ("1993-01", "2020-12")
    variables: names of further variables, on the grid of temperature; salinity comes as `salinity`
    by whichever of its names, others by the name asked for

    Raises: FileNotFoundError: nothing lies there · PermissionError: it may not be read ·
    ValueError: a file is no NetCDF or Zarr, or damaged, holds no temperature on a grid, or does
    not reach what is asked for
    """
    check_region(region)
    with ExitStack() as on_refusal:
        pieces = {}
        for path in find_files(paths):
            dataset = open_file(path)
            on_refusal.callback(dataset.close)
            try:
                piece = arrange(dataset, variables, region)
                piece = piece if region is None else select_region(piece, region)
                piece = (
                    piece if depths is None else take(piece, "depth", nearest_levels(piece, depths))
                )
                pieces[path] = _chosen(piece, variables)
                _same_grid(next(iter(pieces.values())), pieces[path])
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error
        fields = _in_time(_join(list(pieces.values())))
        fields = fields if times is None else select_period(fields, times)
        try:
            survey = _survey_all(fields)
        except DAMAGE as error:
            _name_damaged(pieces)
            raise ValueError(f"the files hold values that cannot be read ({error})") from error
        fields = _with_ocean(fields, *survey)
        on_refusal.pop_all()
    return fields


def to_canonical(dataset, variables=()):
    """Bring an opened `xarray.Dataset`, decoded or raw, into the canonical form.

    Raises: ValueError: no temperature on a grid is recognised, or its values cannot be °C
    """
    fields = _in_time(_chosen(arrange(dataset, variables), variables))
    return _with_ocean(fields, *_survey_all(fields))


def check_canonical(fields):
    """Raise ValueError unless `fields` is canonical: names, order, types and plausible values."""
    for name, dims in (("temperature", DIMS), ("ocean", DIMS[1:])):
        if name not in fields or fields[name].dims != dims:
            found = fields[name].dims if name in fields else list(fields.data_vars)
            raise ValueError(f"{name} {dims} is needed, found {found}; use fields.canonical")
    types = {name: str(fields[name].dtype) for name in _channels(fields)}
    if set(types.values()) != {"float32"} or fields["ocean"].dtype != bool:
        raise ValueError(
            f"{types} must be float32 and ocean ({fields['ocean'].dtype}) bool; use .astype"
        )
    kinds = (POTENTIAL, IN_SITU, CONSERVATIVE)
    if (name := fields["temperature"].attrs.get("standard_name")) not in kinds:
        raise ValueError(f"standard_name {name!r} must be one of {kinds}; set it")
    for dim in DIMS:
        values = fields[dim].values
        if dim not in fields.indexes or not (values[:-1] < values[1:]).all():
            raise ValueError(f"{dim} {values[:5]} must ascend; use .sortby({dim!r})")
    if (top := float(fields["depth"][0])) < 0:
        raise ValueError(f"depth {top:g} m lies above 0; make depth positive down")
    always, _, limits = _survey_all(fields)
    check_values(limits)
    if differ := int((always != fields["ocean"].values).sum()):
        raise ValueError(
            f"ocean and the finite {' and '.join(limits)} differ in {differ} cells, limit 0; use "
            "fields.canonical"
        )


def _channels(fields):
    """Names of the variables on all four dimensions, temperature first."""
    names = [name for name, variable in fields.data_vars.items() if set(DIMS) <= {*variable.dims}]
    return sorted(names, key=lambda name: name != "temperature")


def _chosen(piece, variables):
    return to_potential(piece)[["temperature", *canonical_names(variables)]]


def _join(pieces):
    if len(pieces) == 1:
        return pieces[0]
    # They agree within rounding: the first file's grid stands for all.
    grid = {dim: pieces[0][dim] for dim in DIMS[1:]}
    return xr.concat(
        [piece.assign_coords(grid) for piece in pieces],
        "time",
        data_vars="all",
        coords="minimal",
        compat="override",
        join="exact",
        combine_attrs="override",
    )


def _same_grid(first, other):
    """Refuse a file on another grid, or of another kind or unit, than the first."""
    for dim in DIMS[1:]:
        a, b = first[dim].values, other[dim].values
        if a.shape != b.shape or not np.allclose(a, b, rtol=1e-5, atol=1e-4):
            raise ValueError(
                f"its {dim} ({b.size} from {b[0]:g} to {b[-1]:g}) is not that of the first file "
                f"({a.size} from {a[0]:g} to {a[-1]:g}); open them apart, or give a region and "
                "depths that all files hold"
            )
    for name in _channels(first):
        for key in ("standard_name", "units"):
            a, b = (piece[name].attrs.get(key) for piece in (first, other))
            if a != b:
                raise ValueError(f"its {name} has {key} {b}, the first file {a}; open them apart")
    a, b = ("comment" in piece["time"].attrs for piece in (first, other))
    if a != b:
        raise ValueError(
            f"its dates are {'nominal' if b else 'real'}, those of the first file "
            f"{'nominal' if a else 'real'}; open them apart"
        )


def _in_time(fields):
    fields = fields.sortby("time")
    times = fields["time"].values
    if (same := times[1:] == times[:-1]).any():
        remedy = "drop one of the files, or use .drop_duplicates('time')"
        if comment := fields["time"].attrs.get("comment"):
            remedy = f"{comment}: open the files apart, or .assign_coords(time=[…]) to each"
        raise ValueError(
            f"time {times[1:][same][0].astype('M8[s]')} stands {int(same.sum())} time(s) too "
            f"often, limit 1 field a date; {remedy}"
        )
    return fields


def _survey(array):
    """Cells with a value always, and at some time; the lowest and highest value; in one pass."""
    always, ever = np.ones(array.shape[1:], bool), np.zeros(array.shape[1:], bool)
    low, high = np.inf, -np.inf
    parts, size = spatial_boxes(array, DECODING_BYTES * max(array.chunksizes.get("time", (1,))))
    extents = run_tasks((partial(survey_box, select_box(array, box)) for box in parts), size)
    for box, found in zip(parts, extents, strict=True):
        always[box], ever[box] = found[:2]
        low, high = min(low, found[2]), max(high, found[3])
    return always, ever, low, high


def _survey_all(fields):
    """The ocean, how many cells besides hold some value, lowest and highest of each variable."""
    always, ever, limits = True, False, {}
    for name in _channels(fields):
        first, some, low, high = _survey(fields[name])
        # In place: masks of a whole ocean are large.
        always, ever = np.logical_and(first, always, out=first), np.logical_or(some, ever, out=some)
        limits[name] = low, high
    return always, int(np.greater(ever, always, out=ever).sum()), limits


def _name_damaged(pieces):
    """Raise ValueError for the first of the files whose values cannot be read."""
    for path, piece in pieces.items():
        try:
            _survey_all(piece)
        except DAMAGE as error:
            raise ValueError(
                f"{path} holds values that cannot be read ({error}); it is probably damaged: "
                "fetch it again"
            ) from error


def check_values(limits):
    """Raise ValueError unless the lowest and highest value of each variable can be sea water's.

    limits: {name: (lowest, highest)}, °C, g/kg
    """
    for name, (low, high) in limits.items():
        if low > high:
            raise ValueError(
                f"{name} has 0 values, needs 1: all is land, or outside its valid_range; choose "
                "sea as well"
            )
        if not np.isfinite([low, high]).all():
            raise ValueError(
                f"{name} runs from {low:g} to {high:g}, must be finite; infinite values stand in "
                "the sea: replace them by the fill value"
            )
    low, high = limits["temperature"]
    if not LOWEST <= low <= high <= HIGHEST:
        if 250 < high < 350:
            guess = "they look like kelvin: set the variable's units to 'K'"
        elif high < -200:
            guess = "they look like °C labelled kelvin: set the variable's units to 'degC'"
        elif low > 20 and high < 110:
            guess = "they look like °F: convert them to °C"
        else:
            guess = "a fill value may be undeclared: name it in the attribute _FillValue"
        raise ValueError(
            f"temperatures from {low:g} to {high:g} °C reach outside {LOWEST:g} to {HIGHEST:g} "
            f"°C; {guess}"
        )
    if "salinity" not in limits:
        return
    low, high = limits["salinity"]
    if -0.1 < low <= high < 0.1:
        raise ValueError(
            f"salinities from {low:g} to {high:g} stay below 0.1 g/kg, they look like kg/kg; "
            "multiply them by 1000"
        )
    if not FRESHEST <= low <= high <= SALTIEST:
        raise ValueError(
            f"salinities from {low:g} to {high:g} reach outside {FRESHEST:g} to {SALTIEST:g} g/kg; "
            "a fill value may be undeclared: name it in the attribute _FillValue"
        )


def _with_ocean(fields, ocean, sometimes, limits):
    """Add the static ocean, and leave values only there."""
    check_values(limits)
    if sometimes > ocean.sum():
        raise ValueError(
            f"{sometimes} cells hold values at some times only, or of some variables, limit "
            f"{int(ocean.sum())}, the cells that hold them always; these are observations, not a "
            "field: fill the gaps first, or choose times and variables without them"
        )
    fields["ocean"] = (DIMS[1:], ocean, {"long_name": "sea water at all times"})
    blocks = fields["temperature"].chunksizes
    lazy = fields["ocean"].chunk({dim: blocks[dim] for dim in DIMS[1:]})
    for name in limits:
        fields[name] = fields[name].where(lazy).assign_attrs(fields[name].attrs)
    return fields.assign_attrs(n_intermittent=sometimes)


def seen_from_above(paths, region=None) -> xr.DataArray:
    """The shallowest level of files of fields, (time, latitude, longitude), °C.

    Args:
        paths, region: as `fields.open_fields` takes them.
    """
    pass
    from ocean_lib.fields.files import find_files, open_file
    from ocean_lib.fields.recognition import arrange

    with open_file(find_files(paths)[0]) as first:
        shallowest = arrange(first, region=region).depth.values[:1]
    return open_fields(paths, region=region, depths=shallowest).temperature.isel(depth=0, drop=True)
