"""Turbulence against theory: waves, tracers and the jet."""

import numpy as np
import pytest

from ocean_lib.sources.turbulence import LayeredTurbulence, enlarge


def layers(shape, spacing, **changes):
    """Three layers, without jet, drag or forcing unless asked for."""
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
    return LayeredTurbulence(shape, spacing, np.random.default_rng(0), **options | changes)


def still_layers(shape, spacing, **changes):
    """The same at rest."""
    turbulence = layers(shape, spacing, **changes)
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
    ocean.advance(16.0)
    moved = np.fft.irfft2(ocean.state[3], s=shape)
    np.testing.assert_allclose(moved, np.roll(wave, 8, axis=1) * np.exp(-0.02 * 16), atol=5e-3)


def test_the_jet_has_its_speed_and_its_place():
    jet = layers((64, 32), (10.0, 10.0), jet=(40, 20, 2), jet_row=20, jet_width=30, jet_rate=0.1)
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
