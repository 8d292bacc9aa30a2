"""The demo ocean against real fields.

Real data: GLORYS12 on three sections of the Labrador-Newfoundland shelf and slope, and a tropical
GIOPS tile. Neither is the demo ocean's region, so tolerances are factors of about two.
"""

from pathlib import Path

import gsw
import numpy as np
import pytest
import xarray as xr

from ocean_lib.sources import demo_ocean

REAL = Path(__file__).parents[2] / ".." / "shared" / "data"
MONTHS, SHAPE = 60, (64, 96)
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
    zonal = [field[:, :, row, 44:92:3] for row in range(8, 64, 9)]
    meridional = [field[:, :, 60:14:-3, column] for column in range(8, 96, 12)]
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
    rows = demo.temperature.values[::6, LEVELS[100]].astype(float)
    rows = rows.reshape(-1, SHAPE[1])
    ours = slope(rows[np.isfinite(rows).all(axis=1)], 7.6)  # without seamounts
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
    assert ours > 1.15 * chance  # the real sections: 0.11, 0.18 and 0.51, kurtosis -0.3 to 0.5
    assert pooled > 0.2


def test_temperatures_are_those_of_an_ocean(demo):
    temperature = demo.temperature.values
    assert temperature.dtype == np.float32
    assert np.array_equal(np.isfinite(temperature), np.broadcast_to(demo.ocean, temperature.shape))
    assert np.nanmin(temperature) >= -1.9 and np.nanmax(temperature) < 32
    mean = np.nanmean(temperature[:, :45], axis=(0, 2, 3))
    assert np.all(np.diff(mean) < 0.02) and np.all(np.diff(mean[15::3]) < 0)
    assert np.nanmax(np.diff(temperature, axis=1)) < 4  # inversions are spice, not accidents

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


def test_water_is_as_rough_as_that_of_real_sections(demo, sections):
    """Half the mean squared difference 15 to 30 km apart, as a share of the variance."""
    real = {0: [0.036, 0.063], 30: [0.10, 0.16], 100: [0.08, 0.11], 300: [0.08, 0.15]}
    field = anomalies(demo.temperature.values)
    for depth, bounds in real.items():
        level = field[:, LEVELS[depth]]
        shares = [
            np.nanmean((level[..., cells:] - level[..., :-cells]) ** 2) / 2 / np.nanvar(level)
            for cells in (2, 4)  # 15 and 30 km
        ]
        print(f"{depth} m: demo {np.round(shares, 3)}, real {bounds}")
        assert 0.5 * bounds[0] < np.mean(shares) < 2 * bounds[1]
        assert shares[0] > 0.3 * shares[1]  # a smooth field has a quarter


def test_salinity_moves_with_temperature_as_under_floats(demo):
    files = sorted((REAL / "argo").glob("*.nc"))
    if not files:
        pytest.skip("no floats beside the repository (../shared/data)")
    real = {100: (0.036, 0.217), 300: (0.033, 0.151), 600: (0.059, 0.191)}  # of five floats
    ours = {
        name: anomalies(demo[name].values)[:, [LEVELS[depth] for depth in real]]
        for name in ("temperature", "salinity")
    }
    deviation = {name: np.nanstd(values, axis=(0, 2, 3)) for name, values in ours.items()}
    ratio = deviation["salinity"] / deviation["temperature"]
    print("deviation of salinity over temperature:", ratio, real)
    for got, (low, high) in zip(ratio, real.values(), strict=True):
        assert 0.8 * low < got < 1.25 * high


def test_water_lies_stably(demo):
    pressure = gsw.p_from_z(-demo_ocean.DEPTH.astype(float), 36.0)[:, None, None]
    middle = (pressure[1:] + pressure[:-1]) / 2
    for month in (0, 5, 8, 11):
        fields = demo.isel(time=month)
        salty = gsw.SA_from_SP(fields.salinity.values, pressure, -67.0, 36.0)
        warm = gsw.CT_from_pt(salty, fields.temperature.values)
        step = gsw.rho(salty[1:], warm[1:], middle) - gsw.rho(salty[:-1], warm[:-1], middle)
        stable = ~(step < -5e-4).any(axis=0)
        assert stable[demo.ocean.values[0]].mean() > 0.999


def test_sea_level_is_the_weight_of_the_water_and_the_flow_below(demo):
    """Against the steric height of gsw, and the slope that the season gives it."""
    deep = demo.bathymetry.values > 3000
    level = demo.sea_level.values - demo.sea_level.values.mean(axis=0)
    print(f"deviation of the sea level over the deep sea: {100 * level[:, deep].std():.1f} cm")
    assert 0.08 < level[:, deep].std() < 0.25
    season = level[:, deep].mean(axis=1).reshape(-1, 12).mean(axis=0)
    assert 0.03 < np.ptp(season) < 0.2
    levels = slice(0, int((demo_ocean.DEPTH < 1500).sum()))
    pressure = gsw.p_from_z(-demo_ocean.DEPTH[levels].astype(float), 36.0)[:, None]
    steric = []
    for month in range(0, MONTHS, 3):
        fields = demo.isel(time=month, depth=levels)
        salty = gsw.SA_from_SP(fields.salinity.values[:, deep], pressure, -67.0, 36.0)
        warm = gsw.CT_from_pt(salty, fields.temperature.values[:, deep])
        height = gsw.geo_strf_dyn_height(salty, warm, pressure + 0 * warm, p_ref=1400.0)[0] / 9.8
        steric.append(height)
    steric = steric - np.mean(steric, axis=0)
    ours = level[::3][:, deep]
    amplitude = np.std(steric) / np.std(ours)
    print(f"correlation {correlation(ours, steric):.2f}, amplitude {amplitude:.2f}")
    assert correlation(ours, steric) > 0.8
    assert 0.6 < amplitude < 1.2


def test_the_mixed_layer_is_that_of_the_criterion(demo):
    month = demo.isel(time=2)
    ocean = demo.ocean.values
    salty = month.salinity.values * 35.16504 / 35
    density = gsw.sigma0(salty, gsw.CT_from_pt(salty, month.temperature.values))
    rng = np.random.default_rng(0)
    for row, column in rng.choice(np.argwhere(ocean[30]), 20):
        profile, mixed = density[:, row, column], float(month.mixed_layer_depth[row, column])
        start, end = np.interp([10.0, mixed], demo_ocean.DEPTH, profile)
        assert end - start == pytest.approx(0.01, abs=1e-3)
    season = [float(demo.mixed_layer_depth[month].mean()) for month in (1, 7)]
    assert season[0] > 60 and season[1] < 25


def test_the_region_is_warmer_and_colder_for_years(demo):
    """The test years of the sections are 0.1 to 0.36 °C colder than their training years."""
    years = anomalies(demo.temperature.values)[:, LEVELS[100]].mean(
        axis=(1, 2), where=demo.ocean[LEVELS[100]].values
    )
    years = years.reshape(-1, 12).mean(axis=1)
    print("yearly mean anomalies at 100 m:", years.round(2))
    assert 0.05 < years.std() < 0.4


def test_a_month_is_the_mean_of_its_days():
    month, casts = next(demo_ocean.each_month(5, 1, (32, 40)))
    days, same = next(demo_ocean.each_month(5, 1, (32, 40), daily=True))
    assert casts.equals(same)
    assert days.sizes["time"] == 6 and days.time.values[-1] == np.datetime64("1993-01-28")
    mean = days.mean("time")
    for name, step in (("temperature", 0.05), ("salinity", 0.01), ("sea_level", 0.002)):
        difference = month[name][0] - mean[name]
        assert float(np.sqrt((difference**2).mean())) < step
        assert float(days[name].std("time").mean()) > 2 * step


def test_version_2_is_frozen(demo):
    """Where this fails the ocean has changed: raise VERSION, then write the numbers anew.

    A month is the same on every machine but for rounding, years only in their statistics.
    """
    assert demo_ocean.VERSION == "2"
    generator = np.random.default_rng(np.random.SeedSequence(1).spawn(5)[0])
    parameters = demo_ocean._draw_parameters(generator)
    np.testing.assert_allclose(parameters["interfaces"], [363.932418, 1042.683052], rtol=1e-6)
    np.testing.assert_allclose(parameters["upper"], [10.441229, 141.318972, 71.926294], rtol=1e-6)

    month, casts = next(demo_ocean.each_month(5, 1, (32, 40)))
    levels, column = list(LEVELS.values()), month.isel(time=0, latitude=8, longitude=30)
    found = column.temperature[levels], column.salinity[levels]
    np.testing.assert_allclose(found[0], [14.998, 14.998, 14.998, 6.296, 4.29, 3.396], atol=0.03)
    np.testing.assert_allclose(
        found[1], [34.597, 34.597, 34.597, 34.258, 34.446, 34.692], atol=0.01
    )
    assert float(column.sea_level) == pytest.approx(0.2159, abs=1e-3)
    assert float(column.mixed_layer_depth) == pytest.approx(116.21, abs=0.5)
    assert casts.groupby(["platform", "cycle"]).ngroups == 3
    np.testing.assert_allclose(
        casts.iloc[0][["latitude", "longitude"]].astype(float), [32.654, -70.52], atol=0.01
    )

    pinned = {
        "temperature": (
            [16.52, 16.13, 14.5, 6.2, 4.59, 3.46],
            [0.812, 0.592, 0.683, 0.348, 0.174, 0.072],
            0.2,
        ),
        "salinity": (
            [34.365, 34.405, 34.42, 34.464, 34.587, 34.698],
            [0.1497, 0.1135, 0.0822, 0.05, 0.0295, 0.0047],
            0.05,
        ),
    }
    for name, (means, deviations, step) in pinned.items():
        values = demo[name].values[:, levels]
        np.testing.assert_allclose(np.nanmean(values, axis=(0, 2, 3)), means, atol=step)
        deviation = np.nanstd(anomalies(values), axis=(0, 2, 3))
        np.testing.assert_allclose(deviation, deviations, rtol=0.25)


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
