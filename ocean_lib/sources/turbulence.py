"""Three-layer quasi-geostrophic turbulence on a doubly periodic beta plane, pseudo-spectral.

Each layer conserves its potential vorticity except for bottom drag and a grid-scale filter:

    dq_i/dt + J(psi_i, q_i) + U_i dq_i/dx + Q_i dpsi_i/dx = 0,    q_i = lap psi_i + coupling(psi)

A uniform baroclinic shear U feeds eddies everywhere, and the zonal mean relaxes towards an
eastward jet, which maintains a front that meanders and sheds rings. The two interfaces move
independently, which gives two baroclinic modes. Tracers with a uniform background gradient are
advected by given layers. Units are kilometres and days.

Reference: Vallis 2017, Atmospheric and Oceanic Fluid Dynamics, section 5.3 (the equations);
Abernathey et al., pyqg (the filter); Durran 1991, Mon. Wea. Rev. 119 (Adams-Bashforth).
"""

from collections.abc import Sequence

import numpy as np
import scipy.fft

__all__ = ["LayeredTurbulence", "enlarge"]


COURANT = 0.36  # Courant number of a time step; 0.4 is stable, 0.5 is not
ADAMS_BASHFORTH = {1: (1.0,), 2: (1.5, -0.5), 3: (23 / 12, -16 / 12, 5 / 12)}  # newest first


class LayeredTurbulence:
    """A periodic ocean of three layers and its tracers, stepped forward in place.

    Args:
        shape: grid rows (south to north) and columns (west to east), both even.
        spacing: (dy, dx), km.
        generator: draws the initial perturbation.
        thickness: of the three layers from the top, km.
        gravity: reduced gravity at the two interfaces, m s-2.
        coriolis: Coriolis parameter, s-1.
        beta: its northward gradient, km-1 day-1.
        shear: uniform eastward velocity of each layer, km day-1.
        jet: eastward peak velocity of the jet in each layer, km day-1.
        jet_row: row of the jet's axis.
        jet_width: standard deviation of the jet's profile, km.
        jet_rate: rate at which the zonal mean relaxes towards the jet, day-1.
        drag: bottom drag, day-1.
        tracer_layers: the layer that advects each tracer.
        tracer_gradients: uniform northward gradient of each tracer, per km.
        tracer_targets: anomaly towards which each tracer relaxes, (tracers, rows, columns).
        tracer_rate: rate of this relaxation, day-1.
    """

    def __init__(
        self,
        shape: Sequence[int],
        spacing: Sequence[float] | np.ndarray,
        generator: np.random.Generator,
        *,
        thickness: Sequence[float],
        gravity: Sequence[float],
        coriolis: float,
        beta: float,
        shear: Sequence[float],
        jet: Sequence[float],
        jet_row: float,
        jet_width: float,
        jet_rate: float,
        drag: float,
        tracer_layers: Sequence[int],
        tracer_gradients: Sequence[float],
        tracer_targets: np.ndarray,
        tracer_rate: float,
    ):
        rows, columns = shape
        self.shape, self.spacing = (rows, columns), spacing
        k = 2 * np.pi * np.fft.rfftfreq(columns, spacing[1])[None, :]
        l = 2 * np.pi * np.fft.fftfreq(rows, spacing[0])[:, None]  # noqa: E741
        square = k**2 + l**2
        self.ik = (1j * k).astype(np.complex64)
        self.il = (1j * l).astype(np.complex64)

        # Coupling of the layers, in km and days: q = (stretching - square) psi.
        f = coriolis * 86400.0
        g = np.asarray(gravity) * 86400.0**2 / 1000.0
        h = np.asarray(thickness)
        above, below = f**2 / (g * h[:-1]), f**2 / (g * h[1:])
        stretching = np.zeros((3, 3))
        for i in range(2):
            stretching[i, i] -= above[i]
            stretching[i, i + 1] += above[i]
            stretching[i + 1, i + 1] -= below[i]
            stretching[i + 1, i] += below[i]
        self.to_metres = 1000.0 * f / g  # interface depth (m) per km2 day-1 of psi difference

        matrix = stretching[:, :, None, None] - np.eye(3)[:, :, None, None] * square
        matrix[:, :, 0, 0] = np.eye(3)
        inverse = np.linalg.inv(matrix.transpose(2, 3, 0, 1)).transpose(2, 3, 0, 1)
        inverse[:, :, 0, 0] = 0.0
        self.inverse = inverse.astype(np.float32)

        velocity = np.asarray(shear, float)
        self.layers = np.array([0, 1, 2, *tracer_layers])
        self.mean_flow = velocity[self.layers].astype(np.float32)[:, None, None]
        gradient = np.r_[beta - stretching @ velocity, tracer_gradients]
        self.gradient = (gradient[:, None, None] * self.ik).astype(np.complex64)
        self.target = scipy.fft.rfft2(np.asarray(tracer_targets)).astype(np.complex64)
        self.tracer_rate = tracer_rate
        self.drag = (drag * square).astype(np.float32)

        # The jet as potential vorticity of the zonal mean (the column k = 0).
        y = (np.arange(rows) - jet_row + rows / 2) % rows - rows / 2
        profile = np.exp(-0.5 * (y * spacing[0] / jet_width) ** 2)
        speed = np.fft.fft(profile - profile.mean()) * columns
        waves = np.where(l[:, 0] == 0, 1.0, l[:, 0])
        streamfunction = np.asarray(jet)[:, None] * (-speed / (1j * waves))
        self.jet = np.einsum("ijl,jl->il", matrix[:, :, :, 0], streamfunction)
        self.jet[:, 0] = 0
        self.jet = self.jet.astype(np.complex64)
        self.jet_rate = jet_rate

        # Exponential filter: keeps the lower 65 % of wave numbers and removes the rest.
        scaled = np.sqrt((k * spacing[1]) ** 2 + (l * spacing[0]) ** 2)
        cutoff = 0.65 * np.pi
        self.filter = np.exp(-23.6 * np.clip(scaled - cutoff, 0, None) ** 4).astype(np.float32)

        noise = scipy.fft.rfft2(generator.standard_normal((3, rows, columns)))
        scale = 2 * np.pi / 250.0
        noise *= np.exp(-((np.sqrt(square) - scale) ** 2) / (0.5 * scale) ** 2)
        noise *= 200.0 / scipy.fft.irfft2(noise).std()
        self.state = np.zeros((len(self.layers), rows, k.shape[1]), np.complex64)
        self.state[:3] = np.einsum("ijlk,jlk->ilk", matrix, noise)
        self.state[:3, :, 0] = self.jet
        self.state[3:] = self.target

    def streamfunction(self) -> np.ndarray:
        """Spectral streamfunction of the three layers, (3, rows, columns // 2 + 1)."""
        return (self.inverse * self.state[:3]).sum(axis=1)

    def velocity(self) -> np.ndarray:
        """Eastward and northward velocity of the three layers, (2, 3, rows, columns), km day-1."""
        psi = self.streamfunction()
        return scipy.fft.irfft2(np.stack([-self.il * psi, self.ik * psi]), s=self.shape)

    def snapshot(self) -> np.ndarray:
        """Spectra of streamfunctions and tracers, (3 + tracers, rows, columns // 2 + 1)."""
        return np.concatenate([self.streamfunction(), self.state[3:]])

    def advance(self, days: float) -> None:
        """Step forward, with a time step set by the fastest current so that any seed is stable.

        Args:
            days: length of the period.
        """
        u, v = self.velocity()
        u += self.mean_flow[:3]
        rate = np.hypot(u / self.spacing[1], v / self.spacing[0]).max()
        steps = max(2, int(np.ceil(days * rate / COURANT)))
        past: list[np.ndarray] = []
        for _ in range(steps):
            past = [self._tendency(), *past[:2]]
            for weight, tendency in zip(ADAMS_BASHFORTH[len(past)], past, strict=True):
                self.state += np.float32(weight * days / steps) * tendency
            self.state *= self.filter

    def _tendency(self) -> np.ndarray:
        """Rate of change of the state, spectral."""
        psi = self.streamfunction()
        tracers = len(self.layers) - 3
        fields = scipy.fft.irfft2(
            np.concatenate([-self.il * psi, self.ik * psi, self.state]), s=self.shape
        )
        u, v, carried = fields[:3], fields[3:6], fields[6:]
        u, v = u[self.layers] + self.mean_flow, v[self.layers]
        fluxes = scipy.fft.rfft2(np.concatenate([u * carried, v * carried]))
        change = -(self.ik * fluxes[: 3 + tracers] + self.il * fluxes[3 + tracers :])
        change -= self.gradient * psi[self.layers]
        change[3:] += self.tracer_rate * (self.target - self.state[3:])
        change[2] += self.drag * psi[2]
        change[:3, :, 0] += self.jet_rate * (self.jet - self.state[:3, :, 0])
        return change


def enlarge(spectrum: np.ndarray, shape: Sequence[int], larger: Sequence[int]) -> np.ndarray:
    """Interpolate a periodic field to a finer grid by its spectrum, exactly.

    Args:
        spectrum: output of rfft2, (..., rows, columns // 2 + 1).
        shape: (rows, columns) of its grid, even.
        larger: (rows, columns) of the finer grid, even.

    Returns:
        float32, (..., *larger).
    """
    rows, columns = shape
    padded = np.zeros((*spectrum.shape[:-2], larger[0], larger[1] // 2 + 1), np.complex64)
    half = rows // 2
    padded[..., :half, : columns // 2] = spectrum[..., :half, : columns // 2]
    padded[..., -half + 1 :, : columns // 2] = spectrum[..., -half + 1 :, : columns // 2]
    scale = larger[0] * larger[1] / (rows * columns)
    return scipy.fft.irfft2(padded, s=larger) * np.float32(scale)
