"""What the store holds: small products in their real layout, made from the demo ocean.

Three things of each dataset, as the service keeps them: its description (a STAC item, from which
the client learns dates, levels and chunks), its values as Zarr (levels from the deepest, chunks of
one date), and its files as delivered. GLORYS12 is the demo ocean itself, its last months an interim
dataset; the other products follow from it by rules that a test can repeat.
"""

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import gsw
import numpy as np
import pandas as pd
import xarray as xr
from scipy.ndimage import distance_transform_edt

from ocean_lib.sources.demo_ocean import simulate

__all__ = ["HOST", "ocean", "sea_level", "sea_surface", "surface_salinity", "write"]

HOST = "s3.local.test"
MONTHS, INTERIM = 52, 8  # all; of the interim dataset
SATELLITE = 24  # seen by satellites; altimeters see all
RISE = 3.3e-3  # m a year, of the sea level that altimeters see, above that of the model
SHAPE = 44, 56
FIELDS = ["temperature", "salinity", "sea_level", "ocean"]
FILES = 14  # of each dataset as delivered
AXES = {
    "depth": {"units": "m", "positive": "down", "axis": "Z", "standard_name": "depth"},
    "elevation": {"units": "m", "positive": "up", "axis": "Z", "standard_name": "elevation"},
    "latitude": {"units": "degrees_north", "axis": "Y", "standard_name": "latitude"},
    "longitude": {"units": "degrees_east", "axis": "X", "standard_name": "longitude"},
    "time": {"axis": "T", "standard_name": "time"},
}
MODEL = {
    "thetao": {"dtype": "i2", "scale_factor": 24 / 32767, "add_offset": 21.0},
    "so": {"dtype": "i2", "scale_factor": 0.0015259254723787308, "add_offset": 0.0},
    "zos": {"dtype": "i2", "scale_factor": 0.00030518509447574615, "add_offset": 0.0},
}
STATE = {name: {"dtype": "i2", "scale_factor": 0.001, "add_offset": 20.0} for name in ("to", "so")}
VIEW = {"analysed_sst": {"dtype": "i2", "scale_factor": 0.01, "add_offset": 273.15}}
LEVEL = {"sla": {"dtype": "i4", "scale_factor": 1e-4, "add_offset": 0.0}}
SALT = {"sos": {"dtype": "i2", "scale_factor": 1e-3, "add_offset": 30.0}}


@dataclass
class Dataset:
    """A dataset of a product; `daily` files hold a day each, others a month."""

    product: str
    name: str
    version: str
    fields: xr.Dataset
    packing: dict
    file: str
    chunks: dict = field(default_factory=dict)

    @property
    def folder(self) -> str:
        return f"{self.product}/{self.name}_{self.version}"


@cache
def ocean() -> xr.Dataset:
    """The demo ocean that all products follow from."""
    return simulate(seed=1, months=MONTHS, shape=SHAPE)[FIELDS]


def sea_surface(ocean: xr.Dataset, days: pd.DatetimeIndex, step: float = 0.05) -> xr.DataArray:
    """The shallowest level on other days and another grid, K: linear in between."""
    top = ocean.temperature.isel(depth=0, drop=True)
    nearest = distance_transform_edt(np.isnan(top[0]), return_distances=False, return_indices=True)
    dense = top.copy(data=top.values[:, *nearest])
    middle = dense.assign_coords(time=dense.time + np.timedelta64(14, "D"))
    grid = {name: _cells(ocean[name], step) for name in ("latitude", "longitude")}
    fine = middle.interp(grid).interp(time=days, kwargs={"fill_value": "extrapolate"})
    wet = top.isel(time=0, drop=True).notnull().astype(float)
    sea = wet.sel(grid, method="nearest").assign_coords(grid) > 0
    return (fine + 273.15).where(sea)


def sea_level(ocean: xr.Dataset, step: float = 0.125) -> xr.DataArray:
    """The anomaly of sea level that altimeters see, m, on a grid of their own."""
    level = ocean.sea_level
    years = (ocean.time - ocean.time[0]) / np.timedelta64(365, "D")
    grid = {name: _cells(ocean[name], step) for name in ("latitude", "longitude")}
    return (level - level.mean("time") + RISE * years).interp(grid)


def surface_salinity(ocean: xr.Dataset, step: float = 0.125) -> xr.DataArray:
    """Salinity of the shallowest level on another grid, at a depth of 0 m."""
    salt = ocean.salinity.isel(depth=[0]).assign_coords(depth=[0.0])
    return salt.interp({name: _cells(ocean[name], step) for name in ("latitude", "longitude")})


def _cells(axis: xr.DataArray, step: float) -> np.ndarray:
    """Centres of cells of a grid of its own within an axis, as satellites' grids lie."""
    first = np.ceil(float(axis[0]) / step) * step + step / 2
    return np.arange(first, float(axis[-1]), step)


def write(root) -> Path:
    """The archive under a folder; returns it."""
    root = Path(root)
    datasets = _datasets(ocean())
    for dataset in datasets:
        _write_values(root, dataset)
        _write_files(root, dataset)
        item = root / "mdl-metadata" / "metadata" / dataset.folder / "dataset.stac.json"
        _write_json(item, _describe(dataset))
    _write_catalogue(root, datasets)
    return root


def _datasets(ocean: xr.Dataset) -> list[Dataset]:
    names = {"temperature": "thetao", "salinity": "so", "sea_level": "zos"}
    model = ocean[[*names]].rename(names)
    model.thetao.attrs = {"standard_name": "sea_water_potential_temperature", "units": "degrees_C"}
    model.so.attrs = {"standard_name": "sea_water_salinity", "units": "1e-3"}
    model.zos.attrs = {"standard_name": "sea_surface_height_above_geoid", "units": "m"}
    whole = MONTHS - INTERIM
    days = pd.date_range(ocean.time.values[-SATELLITE], periods=SATELLITE * 31, freq="D")
    days = days[days < ocean.time.values[-1] + np.timedelta64(31, "D")]
    view = xr.Dataset({"analysed_sst": sea_surface(ocean, days)})
    view.analysed_sst.attrs = {
        "standard_name": "sea_surface_foundation_temperature",
        "units": "kelvin",
    }
    level = xr.Dataset({"sla": sea_level(ocean)})
    level.sla.attrs = {
        "standard_name": "sea_surface_height_above_sea_level",
        "long_name": "Sea level anomaly",
        "units": "m",
    }
    salt = xr.Dataset({"sos": surface_salinity(ocean.isel(time=slice(-SATELLITE, None)))})
    salt.sos.attrs = {"standard_name": "sea_surface_salinity", "units": "1e-3"}
    physics, model_name = "GLOBAL_MULTIYEAR_PHY_001_030", "mercatorglorys12v1_gl12_mean_%Y%m.nc"
    return [
        Dataset(
            physics,
            "cmems_mod_glo_phy_my_0.083deg_P1M-m",
            "202311",
            model.isel(time=slice(0, whole)),
            MODEL,
            model_name,
            {"elevation": 10},
        ),
        Dataset(
            physics,
            "cmems_mod_glo_phy_myint_0.083deg_P1M-m",
            "202311",
            model.isel(time=slice(whole, None)),
            MODEL,
            model_name,
            {"elevation": 10},
        ),
        Dataset(
            "MULTIOBS_GLO_PHY_TSUV_3D_MYNRT_015_012",
            "cmems_obs-mob_glo_phy_my_0.125deg_P1M-m",
            "202411",
            _in_situ(model.isel(time=slice(0, 3))),
            STATE,
            "dataset-armor-3d-rep-monthly_%Y%m.nc",
        ),
        Dataset(
            "SST_GLO_SST_L4_REP_OBSERVATIONS_010_011",
            "METOFFICE-GLO-SST-L4-REP-OBS-SST",
            "202003",
            view,
            VIEW,
            "%Y%m%d120000-UKMO-L4_GHRSST-SSTfnd-OSTIA-GLOB_REP-v02.0-fv02.0.nc",
            {"time": 31},
        ),
        Dataset(
            "SEALEVEL_GLO_PHY_L4_MY_008_047",
            "cmems_obs-sl_glo_phy-ssh_my_allsat-l4-duacs-0.125deg_P1M-m",
            "202411",
            level,
            LEVEL,
            "dt_global_allsat_msla_h_y%Y_m%m.nc",
        ),
        Dataset(
            "MULTIOBS_GLO_PHY_S_SURFACE_MYNRT_015_013",
            "cmems_obs-mob_glo_phy-sss_my_multi_P1M",
            "202311",
            salt,
            SALT,
            "dataset-sss-ssd-rep-monthly_%Y%m01T0000Z.nc",
        ),
    ]


def _in_situ(model: xr.Dataset) -> xr.Dataset:
    """In-situ temperature and salinity on an eighth of a degree, as ARMOR3D gives them."""
    grid = {name: _cells(model[name], 0.125) for name in ("latitude", "longitude")}
    coarse = model.interp(grid)
    pressure = gsw.p_from_z(-coarse.depth, coarse.latitude)
    absolute = gsw.SA_from_SP(coarse.so, pressure, coarse.longitude, coarse.latitude)
    conservative = gsw.CT_from_pt(absolute, coarse.thetao)
    warm = gsw.t_from_CT(absolute, conservative, pressure).transpose(*coarse.thetao.dims)
    state = xr.Dataset({"to": warm, "so": coarse.so})
    state.to.attrs = {"standard_name": "sea_water_temperature", "units": "degrees_C"}
    state.so.attrs = model.so.attrs
    return state


def _encoding(dataset: Dataset) -> dict:
    return {
        name: packing | {"_FillValue": np.array(-32767, packing["dtype"])}
        for name, packing in dataset.packing.items()
    }


def _described(fields: xr.Dataset) -> xr.Dataset:
    for name in fields.dims:
        fields[name].attrs = dict(AXES[name])
    return fields.assign_attrs(title="synthetic, for tests only")


def _write_files(root: Path, dataset: Dataset) -> None:
    folder = root / "mdl-native-01" / "native" / dataset.folder
    # The last of them are enough.
    fields = _described(dataset.fields.isel(time=slice(-FILES, None)))
    for index, date in enumerate(pd.DatetimeIndex(fields.time)):
        path = folder / f"{date:%Y}" / date.strftime(dataset.file)
        path.parent.mkdir(parents=True, exist_ok=True)
        fields.isel(time=[index]).to_netcdf(path, encoding=_encoding(dataset))


def _as_zarr(dataset: Dataset) -> xr.Dataset:
    """Levels as elevation, from the deepest, as the service keeps them."""
    fields = dataset.fields
    if "depth" in fields.dims:
        fields = fields.isel(depth=slice(None, None, -1))
        fields = fields.assign_coords(depth=-fields.depth).rename(depth="elevation")
    return _described(fields)


def _chunks(dataset: Dataset, fields: xr.Dataset) -> dict[str, int]:
    sizes = {"time": 1, "elevation": 1, "latitude": 64, "longitude": 64} | dataset.chunks
    return {str(dim): min(sizes[str(dim)], size) for dim, size in fields.sizes.items()}


def _write_values(root: Path, dataset: Dataset) -> None:
    fields = _as_zarr(dataset)
    chunks = _chunks(dataset, fields)
    encoding = {
        name: made | {"chunks": tuple(chunks[dim] for dim in fields[name].dims)}
        for name, made in _encoding(dataset).items()
    }
    path = root / "mdl-arco-time-001" / "arco" / dataset.folder / "timeChunked.zarr"
    fields.to_zarr(path, mode="w", zarr_format=2, consolidated=True, encoding=encoding)


def _describe(dataset: Dataset) -> dict:
    """The STAC item of a dataset."""
    fields = _as_zarr(dataset)
    times = pd.DatetimeIndex(fields.time)
    first, last = (f"{times[k]:%Y-%m-%dT%H:%M:%SZ}" for k in (0, -1))
    sides = {
        dim: [float(fields[dim][0]), float(fields[dim][-1])] for dim in fields.dims if dim != "time"
    }
    west, east, south, north = *sides["longitude"], *sides["latitude"]
    names = [*dataset.packing]
    corners = [[west, south], [west, north], [east, north], [east, south], [west, south]]
    base = f"http://{HOST}"
    letters = {"elevation": "z", "latitude": "y", "longitude": "x"}
    return {
        "id": f"{dataset.name}_{dataset.version}",
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [],
        "bbox": [west, south, east, north],
        "geometry": {"type": "Polygon", "coordinates": [corners]},
        "properties": {
            "title": "synthetic, for tests only",
            "datetime": None,
            "start_datetime": first,
            "end_datetime": last,
            "cube:dimensions": {
                dim: {"type": "spatial", "axis": letters[dim], "extent": side}
                for dim, side in sides.items()
            }
            | {"time": {"type": "temporal", "extent": [first, last]}},
            "cube:variables": {
                name: {
                    "id": name,
                    "dimensions": list(fields[name].dims),
                    "type": "data",
                    "unit": fields[name].attrs["units"],
                    "standardName": fields[name].attrs["standard_name"],
                }
                for name in names
            },
            "admp_in_preparation": False,
            "admp_updated": last,
            "admp_released_date": None,
            "admp_retired_date": None,
        },
        "links": [],
        "assets": {
            "native": {
                "href": f"{base}/mdl-native-01/native/{dataset.folder}",
                "type": "application/x-netcdf",
                "roles": ["data"],
            },
            "timeChunked": {
                "href": f"{base}/mdl-arco-time-001/arco/{dataset.folder}/timeChunked.zarr",
                "type": "application/vnd+zarr",
                "roles": ["data"],
                "viewDims": _dimensions(dataset, fields, names),
            },
        },
    }


def _dimensions(dataset: Dataset, fields: xr.Dataset, names: list[str]) -> dict:
    """Coordinates and chunks of every dimension."""
    found = {}
    for dim, chunk in _chunks(dataset, fields).items():
        values = fields[dim].values
        units = AXES[dim].get("units", "milliseconds since 1970-01-01 00:00:00Z")
        if dim == "time":
            values = values.astype("datetime64[ms]").astype(int)
        listed = {"type": "explicit", "values": values.tolist()}
        found[dim] = {
            "chunkLen": {name: chunk for name in names if dim in fields[name].dims},
            "len": len(values),
            "units": units,
            "coords": listed,
        }
    return found


def _write_catalogue(root: Path, datasets: list[Dataset]) -> None:
    """What leads the client to the items: its configuration, and products."""
    base, metadata = f"http://{HOST}/mdl-metadata", root / "mdl-metadata"
    versions = ("mds", "mds/serverlessNative", "mds/serverlessArco", "mds/serverlessArco/meta")
    configuration = {
        "clientVersions": dict.fromkeys(versions, ">=1.2.2"),
        "catalogues": [
            {
                "stac": f"{base}/metadata/catalog.stac.json",
                "stacRoot": f"{base}/metadata/",
                "idMapping": f"{base}/dataset_product_id_mapping.json",
            }
        ],
    }
    _write_json(metadata / "clientsConfigV1.json", configuration)
    mapping = {dataset.name: dataset.product for dataset in datasets}
    _write_json(metadata / "dataset_product_id_mapping.json", mapping)
    products = dict.fromkeys(mapping.values())
    described = {"stac_version": "1.0.0", "title": "local", "description": "local"}
    _write_json(
        metadata / "metadata" / "catalog.stac.json",
        described
        | {
            "id": "MDS",
            "type": "Catalog",
            "links": [
                {"rel": "child", "href": f"{product}/product.stac.json", "title": product}
                for product in products
            ],
        },
    )
    for product in products:
        own = [f"{each.name}_{each.version}" for each in datasets if each.product == product]
        content = {
            "id": product,
            "type": "Collection",
            "stac_extensions": [],
            "license": "proprietary",
            "providers": [],
            "sci:doi": "10.0000/none",
            "extent": {
                "spatial": {"bbox": [[-180, -90, 180, 90]]},
                "temporal": {"interval": [[None, None]]},
            },
            "links": [
                {"rel": "item", "href": f"{name}/dataset.stac.json", "title": name} for name in own
            ],
            "properties": {"sources": ["Numerical models"], "processingLevel": "Level 4"},
        }
        _write_json(metadata / "metadata" / product / "product.stac.json", described | content)


def _write_json(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
