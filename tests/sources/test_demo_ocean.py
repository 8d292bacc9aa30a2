"""The demo ocean against real fields, against theory, and against the file format it copies.

Real data: GLORYS12 on three sections of the Labrador-Newfoundland shelf and slope, and a tropical
GIOPS tile. Neither is the demo ocean's region, so tolerances are factors of about two.
"""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from ocean_lib.sources import demo_files, demo_ocean
from ocean_lib.sources.turbulence import LayeredTurbulence, enlarge

REAL = Path(__file__).parents[2] / ".." / "shared" / "data"
MONTHS, SHAPE = 72, (96, 128)
LEVELS = {q: int(np.abs(demo_ocean.DEPTH - q).argmin()) for q in (0, 30, 100, 300, 600, 1000)}


@pytest.fixture(scope="module")
def demo():
    return demo_ocean.simulate(seed=1, months=MONTHS, shape=SHAPE)


@pytest.fixture(scope="module")
def sections():
    """Anomalies (month, depth, station) of three real sections, over as many months."""
    files = sorted((REAL / "glorys12_sections").glob("*.nc"))
    if not files:
        pytest.skip("no GLORYS12 sections beside the repository (../shared/data)")
    found = []
    for file in files:
        with xr.open_dataset(file) as dataset:
            found.append(anomalies(dataset.thetao.values[:MONTHS]))
    return found


@pytest.fixture(scope="module")
def demo_sections(demo):
    """Lines of 16 stations over 340-420 km; the southward ones leave the shelf as real ones do."""
    field = anomalies(demo.temperature.values)
    zonal = [field[:, :, row, 60:108:3] for row in range(8, 96, 14)]
    meridional = [field[:, :, 92:46:-3, column] for column in range(8, 128, 16)]
    return [s for s in zonal + meridional if np.isfinite(s[0, LEVELS[1000]]).sum() > 2]


def anomalies(temperature):
    """Departures from the mean of each calendar month."""
    years = temperature.reshape(-1, 12, *temperature.shape[1:])
    return (years - years.mean(axis=0)).reshape(temperature.shape)


def correlation(first, second):
    both = np.isfinite(first) & np.isfinite(second)
    return np.corrcoef(first[both], second[both])[0, 1]


def shares(section):
    variance = np.array([np.nanvar(section[:, level]) for level in LEVELS.values()])
    return variance / variance.sum()


def modes(section):
    """Number of EOFs of all depths and stations together that carry 90 % of the variance."""
    matrix = section.reshape(len(section), -1)
    matrix = matrix[:, np.isfinite(matrix).all(axis=0)]
    variance = np.linalg.svd(matrix - matrix.mean(axis=0), compute_uv=False) ** 2
    return 1 + np.searchsorted(np.cumsum(variance) / variance.sum(), 0.9)


def slope(rows, spacing):
    """Log-log slope of the spectrum along rows (km spacing), wavelengths 110 to 450 km."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    power = (np.abs(np.fft.rfft(rows * np.hanning(rows.shape[1]), axis=1)) ** 2).mean(axis=0)
    wavenumber = np.fft.rfftfreq(rows.shape[1], spacing)
    used = (wavenumber > 1 / 450) & (wavenumber < 1 / 110)
    return np.polyfit(np.log(wavenumber[used]), np.log(power[used]), 1)[0]


def test_share_of_variance_by_depth_is_that_of_real_sections(demo_sections, sections):
    ours = np.mean([shares(section) for section in demo_sections], axis=0)
    real = np.mean([shares(section) for section in sections], axis=0)
    print(*zip(LEVELS, ours.round(3), real.round(3), strict=True), sep="\n")
    factor = np.exp(np.abs(np.log(ours / real)))
    assert np.all(factor[:4] < 2)  # to 300 m
    assert np.all(factor[4:] < 4.5)  # the real sections have no main thermocline at 600 m


def test_a_section_needs_as_many_modes_within_a_factor_of_two(demo_sections, sections):
    ours = np.median([modes(section) for section in demo_sections])
    real = np.median([modes(section) for section in sections])
    print("EOFs for 90 %: demo", ours, "real", real)
    assert 0.5 <= ours / real <= 2
    assert 8 / 2 <= ours <= 12 * 2  # 8-12: the same count over all 27 years


def test_depths_are_correlated_as_in_reality(demo_sections, sections):
    for upper, lower in ((0, 30), (0, 100), (0, 300), (100, 300), (300, 600)):
        ours, real = (
            np.mean([correlation(s[:, LEVELS[upper]], s[:, LEVELS[lower]]) for s in group])
            for group in (demo_sections, sections)
        )
        print(f"correlation {upper} and {lower} m: demo {ours:.2f}, real {real:.2f}")
        assert abs(ours - real) < 0.35
        assert ours < 0.9


def test_upper_anomalies_fade_within_three_months_and_not_within_one(demo, sections):
    field = anomalies(demo.temperature.values)
    for depth in (0, 30, 100, 300):
        ours = field[:, LEVELS[depth]]
        ours = [correlation(ours[lag:], ours[:-lag]) for lag in (1, 3)]
        real = np.mean([correlation(s[1:, LEVELS[depth]], s[:-1, LEVELS[depth]]) for s in sections])
        print(f"{depth} m, after 1 and 3 months: {np.round(ours, 2)}; real after 1: {real:.2f}")
        assert abs(ours[0] - real) < 0.3
        assert ours[1] < np.exp(-1)


def test_spectral_slope_is_that_of_a_real_field(demo):
    file = REAL / "giops" / "nemo_test.nc"
    if not file.exists():
        pytest.skip("no GIOPS tile beside the repository (../shared/data)")
    with xr.open_dataset(file, decode_times=False) as dataset:
        real = slope(dataset.votemper.values[0, LEVELS[100]].astype(float), 27.3)
    rows = demo.temperature.values[::6, LEVELS[100], :16].astype(float)
    ours = slope(rows.reshape(-1, SHAPE[1]), 7.6)
    print(f"slope at 100 m: demo {ours:.2f}, real {real:.2f}")
    assert abs(ours - real) < 1.2
    assert ours < -2


def test_season_is_that_of_a_real_ocean_at_this_latitude(demo):
    file = REAL / "levitus" / "levitus94_4deg_monthly.nc"
    if not file.exists():
        pytest.skip("no Levitus climatology beside the repository (../shared/data)")
    with xr.open_dataset(file) as dataset:
        place = dataset.theta.sel(lat=slice(33, 39), lon=slice(288, 299))
        real = place.mean(("lat", "lon")).sel(depth=[25.0, 170.0]).values
    months = demo.temperature.groupby("time.month").mean().where(demo.bathymetry > 2000)
    ours = months.mean(("latitude", "longitude")).interp(depth=[25.0, 170.0]).values
    print("seasonal range at 25 and 170 m:", np.ptp(ours, axis=0), np.ptp(real, axis=0))
    assert 0.5 < np.ptp(ours[:, 0]) / np.ptp(real[:, 0]) < 2
    assert np.ptp(ours[:, 1]) < 0.5 * np.ptp(ours[:, 0])
    warmest = 1 + ours[:, 0].argmax(), 1 + real[:, 0].argmax()
    assert abs(warmest[0] - warmest[1]) <= 1, warmest


def test_thermocline_is_not_gaussian(demo):
    from scipy.stats import kurtosis, skew

    ocean = demo.ocean.values[LEVELS[1000]]
    field = anomalies(demo.temperature.values)[:, LEVELS[100]][:, ocean]
    generator = np.random.default_rng(0)
    gaussian = anomalies(generator.standard_normal((MONTHS, 2000)))
    # At a fixed place, heave past a nonlinear profile skews; pooled, eddies fatten the tails.
    ours = np.median(np.abs(skew(field, axis=0)))
    chance = np.median(np.abs(skew(gaussian, axis=0)))
    pooled = kurtosis(field.ravel())
    print(f"median |skewness| {ours:.2f}, by chance {chance:.2f}; kurtosis {pooled:.2f}")
    assert ours > 2 * chance
    assert pooled > 0.3


def test_two_interfaces_and_spice_are_not_one_mode():
    generator = np.random.default_rng(3)
    parameters = demo_ocean._draw_parameters(generator)
    flow = demo_ocean._flow((48, 64), np.array([9.3, 7.5]), 34.0, parameters, generator)
    months = np.array([next(flow) for _ in range(36)])
    months -= months.mean(axis=0)
    assert 0.1 < correlation(months[:, 0], months[:, 1]) < 0.85
    for displacement in (0, 1):
        assert abs(correlation(months[:, displacement], months[:, 3])) < 0.4


def test_temperatures_are_those_of_an_ocean(demo):
    temperature = demo.temperature.values
    assert temperature.dtype == np.float32
    assert np.array_equal(np.isfinite(temperature), np.broadcast_to(demo.ocean, temperature.shape))
    assert np.nanmin(temperature) >= -1.9 and np.nanmax(temperature) < 32
    mean = np.nanmean(temperature[:, :45], axis=(0, 2, 3))
    assert np.all(np.diff(mean) < 0.02) and np.all(np.diff(mean[15::3]) < 0)
    assert np.nanmax(np.diff(temperature, axis=1)) < 3  # inversions are spice, not accidents

    ocean = demo.ocean.values
    assert not np.any(ocean[1:] & ~ocean[:-1])
    assert 0.75 < ocean[0].mean() < 0.97 and not ocean[0, -1, 0] and ocean[40, 8, 64]
    shelf = (demo.bathymetry.values > 0) & (demo.bathymetry.values < 200)
    assert 0.02 < shelf.mean() < 0.3

    # Seasons: warm and stratified in September, cold and mixed to 50 m in March.
    deep = ocean[LEVELS[1000]]
    month = temperature.reshape(-1, 12, *temperature.shape[1:])[:, :, :, deep]
    surface, fifty = month[:, :, 0], month[:, :, 18]
    assert np.mean(surface[:, 8] - surface[:, 2]) > 4
    assert np.mean(surface[:, 8] - fifty[:, 8]) > 2
    assert abs(np.mean(surface[:, 2] - fifty[:, 2])) < 0.3


def test_parameters_and_statistics_are_pinned(demo):
    """Version 1 is frozen; a change of these numbers is a new version."""
    assert demo_ocean.VERSION == "1"
    generator = np.random.default_rng(np.random.SeedSequence(1).spawn(4)[0])
    parameters = demo_ocean._draw_parameters(generator)
    pinned = {
        "interfaces": [360.15829725, 1068.35562004],
        "upper": [9.64971178, 105.72140145, 81.04044117],
    }
    for name, values in pinned.items():
        np.testing.assert_allclose(parameters[name], values, rtol=1e-6)
    levels = list(LEVELS.values())
    temperature = demo.temperature.values[:, levels]
    mean = np.nanmean(temperature, axis=(0, 2, 3))
    np.testing.assert_allclose(mean, [15.69, 15.10, 12.65, 7.16, 4.89, 3.31], atol=0.2)
    spread = np.nanstd(anomalies(temperature), axis=(0, 2, 3))
    np.testing.assert_allclose(spread, [1.049, 0.766, 0.976, 0.381, 0.454, 0.119], rtol=0.15)


def test_a_seed_is_one_ocean_and_another_seed_another():
    short = demo_ocean.simulate(seed=5, months=1, shape=(32, 40))
    told = []
    longer = demo_ocean.simulate(5, 2, (32, 40), progress=lambda *count: told.append(count))
    other = demo_ocean.simulate(seed=6, months=1, shape=(32, 40))
    assert told == [(1, 2), (2, 2)]
    np.testing.assert_array_equal(short.temperature[0], longer.temperature[0])
    assert not np.array_equal(short.bathymetry, other.bathymetry)
    profiles = [x.temperature[0].mean(("latitude", "longitude")).values for x in (short, other)]
    assert np.nanmax(np.abs(profiles[0] - profiles[1])) > 0.1


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="choose shape >= 32x32"):
        demo_ocean.simulate(shape=(96, 20))
    with pytest.raises(ValueError, match="choose months >= 1"):
        demo_ocean.simulate(months=0)


def test_files_are_those_of_a_regional_subset(tmp_path):
    from netCDF4 import Dataset

    paths = demo_files.write_demo_files(tmp_path, seed=2, months=2, shape=(32, 40))
    assert [path.name for path in paths] == [
        "cmems_mod_glo_phy_my_0.083deg_P1M-m_thetao_72.00W-68.75W_32.00N-34.58N"
        f"_0.49-5727.92m_1993-0{month}-01.nc"
        for month in (1, 2)
    ]
    assert sorted(tmp_path.iterdir()) == paths
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
        assert file.demo_version == "1" and file.demo_seed == 2
    with xr.open_dataset(paths[1]) as file:
        assert file.time.values == np.datetime64("1993-02-01")
        np.testing.assert_allclose(file.thetao, field.temperature[1:], atol=4e-4)
        np.testing.assert_allclose(np.diff(file.longitude), 1 / 12, atol=1e-5)

    before = [path.stat().st_mtime_ns for path in paths]
    assert demo_files.write_demo_files(tmp_path, seed=2, months=2, shape=(32, 40)) == paths
    assert demo_files.write_demo_files(tmp_path, seed=2, months=1, shape=(32, 40)) == paths[:1]
    paths[0].unlink()
    demo_files.write_demo_files(tmp_path, seed=2, months=2, shape=(32, 40))
    assert paths[0].exists() and paths[1].stat().st_mtime_ns == before[1]
    with pytest.raises(FileExistsError, match="choose another folder"):
        demo_files.write_demo_files(tmp_path, seed=3, months=2, shape=(32, 40))


def still_layers(shape, spacing, **changes):
    """Three layers at rest, without jet, drag or forcing."""
    options = dict(
        thickness=(0.35, 0.75, 3.6),
        gravity=(0.014, 0.010),
        coriolis=8.6e-5,
        beta=1.6e-3,
        shear=(0, 0, 0),
        jet=(0, 0, 0),
        jet_row=0,
        jet_width=60,
        jet_rate=0,
        drag=0,
        tracer_layers=(0,),
        tracer_gradients=(0,),
        tracer_targets=np.zeros((1, *shape)),
        tracer_rate=0,
    )
    turbulence = LayeredTurbulence(shape, spacing, np.random.default_rng(0), **options | changes)
    turbulence.state[:] = 0
    return turbulence


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_rossby_waves_move_at_their_speed(mode):
    """Dispersion relation from the layers' eigenvalues: omega = -beta k / (k2 + l2 + 1 / R2)."""
    shape, spacing = (32, 48), (15.0, 18.0)
    f, g, h = 8.6e-5, np.array([0.014, 0.010]), np.array([350.0, 750.0, 3600.0])
    stretching = np.zeros((3, 3))
    for above in (0, 1):
        pair = [above, above + 1]
        stretching[np.ix_(pair, pair)] += f**2 / g[above] / h[pair, None] * [[1, -1], [-1, 1]]
    values, vectors = np.linalg.eig(stretching * 1e6)  # km-2
    order = np.argsort(values.real)
    value, vector = values.real[order][mode], vectors.real[:, order[mode]]

    waves = still_layers(shape, spacing)
    k, l = 2 * np.pi * 2 / (48 * 18.0), 2 * np.pi * 3 / (32 * 15.0)  # noqa: E741
    waves.state[:3, 3, 2] = -(k**2 + l**2 + max(value, 0)) * vector
    start = np.angle(waves.streamfunction()[0, 3, 2])
    for _ in range(4):
        waves.advance(5.0)
    turned = np.angle(np.exp(1j * (np.angle(waves.streamfunction()[0, 3, 2]) - start)))
    omega = -1.6e-3 * k / (k**2 + l**2 + max(value, 0))
    assert turned == pytest.approx(-omega * 20, rel=2e-3)


def test_tracers_ride_on_the_mean_flow_and_fade():
    shape, spacing = (16, 32), (10.0, 10.0)
    ocean = still_layers(shape, spacing, shear=(5.0, 0, 0), tracer_rate=0.02)
    wave = np.cos(2 * np.pi * np.arange(32) / 32) * np.ones((16, 1))
    ocean.state[3] = np.fft.rfft2(wave)
    ocean.advance(16.0, samples=64)
    moved = np.fft.irfft2(ocean.state[3], s=shape)
    np.testing.assert_allclose(moved, np.roll(wave, 8, axis=1) * np.exp(-0.02 * 16), atol=2e-3)


def test_the_jet_has_its_speed_and_its_place():
    jet = LayeredTurbulence(
        (64, 32),
        (10.0, 10.0),
        np.random.default_rng(0),
        thickness=(0.35, 0.75, 3.6),
        gravity=(0.014, 0.010),
        coriolis=8.6e-5,
        beta=1.6e-3,
        shear=(0, 0, 0),
        jet=(40, 20, 2),
        jet_row=20,
        jet_width=30,
        jet_rate=0.1,
        drag=0,
        tracer_layers=(0,),
        tracer_gradients=(0,),
        tracer_targets=np.zeros((1, 64, 32)),
        tracer_rate=0,
    )
    profile = jet.velocity()[0].mean(axis=-1)
    assert np.all(profile.argmax(axis=1) == 20)
    np.testing.assert_allclose(np.ptp(profile, axis=1), [40, 20, 2], rtol=1e-2)


def test_enlarging_is_exact_for_waves():
    y, x = np.meshgrid(np.arange(16) / 16, np.arange(20) / 20, indexing="ij")
    fine_y, fine_x = np.meshgrid(np.arange(32) / 32, np.arange(40) / 40, indexing="ij")

    def wave(y, x):
        return 2 + np.cos(2 * np.pi * (3 * x - 2 * y)) + np.sin(2 * np.pi * (5 * y + x))

    fine = enlarge(np.fft.rfft2(wave(y, x)), (16, 20), (32, 40))
    np.testing.assert_allclose(fine, wave(fine_y, fine_x), atol=1e-5)
