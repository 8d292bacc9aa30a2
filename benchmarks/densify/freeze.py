"""Make new frozen cases: `python -m benchmarks.densify.freeze`.

Notebook 01 builds the oceans of three seeds (`data/store/demo`, `demo_2`, `demo_3`) unless they
exist, and the first test months of each are written to `cases/` with the observations of the demo's
two cases. The stations of the sections are drawn if the sections' files exist. The hashes of all
files are written to `cases/SHA256SUMS`.

The demo ocean is chaotic, so its trajectory depends on the machine: on another machine this command
makes other cases, and their scores cannot be compared with those published.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from ocean_lib.classical.regression import channel_covariance
from ocean_lib.core.atomic import atomic_write
from ocean_lib.observations.batch import observe
from ocean_lib.runs.paths import workspace
from ocean_lib.scores.calibration import stated_spread
from ocean_lib.store.store import Store

from . import hashes, sections
from .cases import CASES, of_levels, write
from .fitted import FITTED

__all__ = ["DEMO", "demo_store", "freeze_demo", "freeze_stations", "keep", "keep_parameters"]

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "01_download.ipynb"
SEEDS = (1, 2, 3)
MONTHS = 16  # of 24 test months: they fit into 8 MB
DEMO = (
    {"name": "50 % blocks", "pattern": "blocks", "observed": 0.5},
    {
        "name": "0.25 % profiles + surface",
        "pattern": "profiles",
        "observed": 0.0025,
        "surface": 1.0,
    },
)
MASKS = 100  # first seed of the masks


def demo_store(seed: int) -> Store:
    """Open the store of the demo ocean of a seed; notebook 01 builds it if it is missing.

    Raises:
        ValueError: the store of that name was built from another seed.
    """
    name = "demo" if seed == 1 else f"demo_{seed}"
    place = workspace() / "data" / "store" / name
    if not (place / "store.json").is_file():
        import papermill

        choices = {"run": "freeze", "store": name, "source_seed": seed}
        papermill.execute_notebook(
            NOTEBOOK, None, choices, kernel_name="python3", progress_bar=False, cwd=NOTEBOOK.parent
        )
    store = Store(place)
    if (found := store.description["request"].get("seed")) != seed:
        raise ValueError(
            f"{place} was built from seed {found}, not {seed}; delete it to build it again"
        )
    return store


def freeze_demo(seed: int) -> None:
    """Write the file of a demo ocean's cases."""
    store = demo_store(seed)
    fields = store.fields("test", range(MONTHS))
    seen = {
        case["name"]: observe(fields, case, MASKS + 10 * seed + index)
        for index, case in enumerate(DEMO)
    }
    path = CASES / f"demo_{seed}.nc"
    write(fields, seen, of_levels(store.statistics()), path)
    print(f"{path.name}: {MONTHS} months, {path.stat().st_size / 1e6:.2f} MB")


def freeze_stations(folder=sections.SECTIONS) -> None:
    """Draw the stations of every section and month, and write the hashes of the sections' files."""
    tables = []
    for seed, name in enumerate(sections.NAMES):
        fields = sections.build(folder, name).fields("test")
        drawn = sections.draw_stations(fields.ocean, fields.sizes["time"], seed)
        table = pd.DataFrame(drawn, columns=[f"station_{k + 1}" for k in range(sections.SEEN)])
        table.insert(0, "month", fields.time.dt.strftime("%Y-%m").values)
        table.insert(0, "section", name)
        tables.append(table)
    with atomic_write(CASES / "stations.csv") as beside:
        pd.concat(tables).to_csv(beside, index=False)
    files = [sections.section_file(folder, name) for name in sections.NAMES]
    hashes.write(CASES / "sections.sha256", files)


def keep(name: str, store: Store, tuned: dict[str, dict], seen: dict, calibrated: dict) -> dict:
    """Write what stays of a demo ocean without its store; see `fitted`.

    Args:
        name: of the ocean.
        store: of its training months.
        tuned: {case: {method: tuned method}}, from `tune_methods`.
        seen: {case: observations} of the frozen file.
        calibrated: {case: `mean` and `members`} of the calibrated network.

    Returns:
        The parameters of the methods, for `keep_parameters`.
    """
    statistics = store.statistics()
    attributes = {
        key: statistics.attrs[key]
        for key in ("standard_name", "months", "dates_per_month", "first", "last", "credit",
                    "licence")
    }  # fmt: skip
    small = xr.Dataset(
        {name: statistics[name] for name in ("harmonic", "deviation", "wet")},
        {axis: statistics[axis] for axis in ("depth", "latitude", "longitude")},
        attributes,
    )
    for quantity in ("harmonic", "deviation"):
        small[quantity].attrs["units"] = "degrees_C"
    _pack(small, f"{name}_statistics.nc", {"harmonic": 1e-3, "deviation": 1e-4})
    parameters: dict = {}
    for case, methods in tuned.items():
        parameters[case] = {}
        for method in ("linear", "optimal interpolation", "regression + optimal interpolation"):
            if method in methods:
                parameters[case][method] = _parameters(name, methods[method], store)
    means, errors = [], []
    for case, result in calibrated.items():
        hidden = ~seen[case].observed
        means.append(result["mean"].where(hidden))
        errors.append(stated_spread(result).where(hidden))
    cases = xr.Variable("case", list(calibrated))
    network = xr.Dataset({"mean": xr.concat(means, cases), "error": xr.concat(errors, cases)})
    network = network.transpose("case", "time", "depth", "latitude", "longitude")
    network["error"] = network.error.copy(data=_rounded(network.error.values, 3))
    network["mean"].attrs = network.error.attrs = {"units": "degrees_C"}
    network.attrs = {"title": f"reconstructions of {name} by the network, calibrated"}
    _pack(network, f"{name}_network.nc", {"mean": 0.01})
    return parameters


def _parameters(name: str, method, store: Store) -> dict:
    """Scales, covariances and factors of a tuned method; coefficients go into a file."""
    if not hasattr(method, "regression"):
        return {"factor": _numbers(method.keywords["factor"])}
    kept = {"scales": method.scales, "factor": _numbers(method.factor)}
    regression = method.regression
    if not hasattr(regression, "coefficients"):
        return kept | {"covariance": _numbers(channel_covariance(store))}
    coefficients = regression.coefficients.numpy()
    latitude, longitude = regression.places
    dims = ("level", "feature", "latitude", "longitude")
    held = xr.Dataset(
        {"coefficients": (dims, coefficients)}, {"latitude": latitude, "longitude": longitude}
    )
    _pack(held, f"{name}_regression.nc", {"coefficients": float(abs(coefficients).max()) / 2000})
    matrices = ("prior_covariance", "residual_covariance")
    return kept | {key: _numbers(getattr(regression, key)) for key in matrices}


def _numbers(values) -> list:
    return np.vectorize(lambda value: float(f"{value:.6g}"))(np.asarray(values, float)).tolist()


def _rounded(values: np.ndarray, bits: int) -> np.ndarray:
    """Round the mantissa of float32 to a few bits, so that the values compress."""
    mantissa, exponent = np.frexp(values.astype(np.float32))
    scale = np.float32(2.0 ** (bits + 1))
    return np.ldexp(np.round(mantissa * scale) / scale, exponent).astype(np.float32)


def _pack(dataset: xr.Dataset, name: str, steps: dict[str, float]) -> None:
    """Write a small file: int16 in these steps, other numbers as they are, masks as int8."""
    dataset = dataset.drop_encoding()
    encoding: dict = {}
    for variable, array in dataset.data_vars.items():
        grid = ("depth", "latitude", "longitude")
        chunk = [array.sizes[dim] if dim in grid else 1 for dim in array.dims]
        packing: dict = {"zlib": True, "complevel": 9, "shuffle": True, "chunksizes": chunk}
        if variable in steps:
            packing |= {"dtype": "int16", "scale_factor": steps[variable], "_FillValue": -32767}
        elif array.dtype == bool:
            packing["dtype"] = "int8"
        encoding[variable] = packing
    if "time" in dataset.coords:
        encoding["time"] = {"units": "days since 1950-01-01"}
    with atomic_write(FITTED / name) as beside:
        dataset.to_netcdf(beside, encoding=encoding, engine="netcdf4")


def keep_parameters(parameters: dict[str, dict]) -> None:
    """Write methods.json and the hashes of all kept files.

    Args:
        parameters: {ocean: parameters}, from `keep`.
    """
    with atomic_write(FITTED / "methods.json") as beside:
        beside.write_text(json.dumps(parameters, ensure_ascii=False) + "\n")
    hashes.write(FITTED / "SHA256SUMS", [p for p in FITTED.iterdir() if p.name != "SHA256SUMS"])


def main() -> None:
    CASES.mkdir(exist_ok=True)
    if sections.SECTIONS.is_dir():
        freeze_stations()
    for seed in SEEDS:
        freeze_demo(seed)
    hashes.write(CASES / "SHA256SUMS", [p for p in CASES.iterdir() if p.name != "SHA256SUMS"])


if __name__ == "__main__":
    main()
