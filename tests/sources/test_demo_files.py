"""Files of the demo ocean against the format of GLORYS12."""

import numpy as np
import pytest
import xarray as xr

from ocean_lib.observations.profiles import USED, open_profiles
from ocean_lib.sources import demo_files, demo_ocean


def test_files_are_those_of_a_regional_subset(tmp_path):
    from netCDF4 import Dataset

    paths = demo_files.write_demo_files(tmp_path, seed=2, months=2, shape=(32, 40))
    assert [path.name for path in paths] == [
        "cmems_mod_glo_phy_my_0.083deg_P1M-m_thetao-so-zos-mlotst_72.00W-68.75W_32.00N-34.58N"
        f"_0.49-5727.92m_1993-0{month}-01.nc"
        for month in (1, 2)
    ]
    assert sorted(tmp_path.glob("*.nc")) == paths
    field = demo_ocean.simulate(seed=2, months=2, shape=(32, 40))
    with Dataset(paths[1]) as file:
        file.set_auto_maskandscale(False)
        packed = file["thetao"]
        assert packed.dimensions == ("time", "depth", "latitude", "longitude")
        assert packed.shape == (1, 50, 32, 40) and packed.dtype == np.int16
        assert packed.scale_factor == 24 / 32767 and packed.add_offset == 21
        assert packed._FillValue == -32767 and packed.units == "degrees_C"
        assert packed.standard_name == "sea_water_potential_temperature"
        assert np.array_equal(packed[0] == -32767, ~field.ocean.values)
        for name in ("depth", "latitude", "longitude"):
            assert file[name].dtype == np.float32 and "_FillValue" not in file[name].ncattrs()
        assert file["depth"].positive == "down"
        assert "ynthetic" in file.title and "not a Copernicus" in file.credit
        assert file["so"].scale_factor == 50 / 32767 and file["so"].shape == packed.shape
        for name in ("zos", "mlotst"):
            assert file[name].shape == (1, 32, 40) and file[name].units == "m"
            assert np.array_equal(file[name][0] == -32767, ~field.ocean.values[0])
        assert file.demo_version == "2" and file.demo_seed == 2
    with xr.open_dataset(paths[1]) as file:
        assert file.time.values == np.datetime64("1993-02-01")
        np.testing.assert_allclose(file.thetao, field.temperature[1:], atol=4e-4)
        np.testing.assert_allclose(file.so, field.salinity[1:], atol=8e-4)
        np.testing.assert_allclose(file.zos, field.sea_level[1:], atol=2e-4)
        np.testing.assert_allclose(file.mlotst, field.mixed_layer_depth[1:], atol=0.08)
        np.testing.assert_allclose(np.diff(file.longitude), 1 / 12, atol=1e-5)

    table = open_profiles(tmp_path / "floats", [9.6, 109.7])
    assert set(table.time.dt.month.values) == {1, 2} and (table.status == USED).all()
    before = [path.stat().st_mtime_ns for path in paths]
    assert demo_files.write_demo_files(tmp_path, seed=2, months=2, shape=(32, 40)) == paths
    assert demo_files.write_demo_files(tmp_path, seed=2, months=1, shape=(32, 40)) == paths[:1]
    paths[0].unlink()
    demo_files.write_demo_files(tmp_path, seed=2, months=2, shape=(32, 40))
    assert paths[0].exists() and paths[1].stat().st_mtime_ns == before[1]
    with pytest.raises(FileExistsError, match="choose another folder"):
        demo_files.write_demo_files(tmp_path, seed=3, months=2, shape=(32, 40))
