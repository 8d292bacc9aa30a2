"""Run our methods on all cases: `python -m benchmarks.densify.methods [OCEAN …]`.

On the demo oceans the classical methods are applied with their kept parameters, and the network's
published reconstructions are taken (`fitted`). On a section the classical methods are tuned on its
validation months (`tune_methods`), and a network is trained on its training months. Each
reconstruction is written to `outputs/benchmark/OCEAN/METHOD.nc` unless the file exists. At the end
all files are scored, and scores and tables are written to `benchmarks/results` and the README.
"""

import argparse

import xarray as xr

from ocean_lib.classical import tuning
from ocean_lib.fields import reconstruction_file
from ocean_lib.model.densifier import Densifier
from ocean_lib.reconstruct.ensemble import reconstruct
from ocean_lib.reconstruct.sampling import Sampling
from ocean_lib.runs.paths import device_name
from ocean_lib.scores import calibration

from . import fitted, results, section_network, sections
from .cases import OCEANS, open_ocean

__all__ = ["OURS", "classical", "network"]

OURS = "network"
MEMBERS, STEPS = 16, 8


def classical(
    methods: dict[str, dict[str, tuning.Method]],
    observations: dict[str, xr.Dataset],
    statistics: xr.Dataset,
) -> dict[str, xr.Dataset]:
    """Apply methods to every case: {method: mean and error (case, time, …)}.

    Args:
        methods: {case: {method: tuned method}}.
        observations: {case: observations}.
        statistics: climatology and deviation, from `Store.statistics`.
    """
    found: dict[str, dict[str, xr.Dataset]] = {}
    for case, tuned in methods.items():
        for name, method in tuned.items():
            found.setdefault(name, {})[case] = method(observations[case], statistics)
    return {name: _by_case(each) for name, each in found.items()}


def _by_case(each: dict[str, xr.Dataset]) -> xr.Dataset:
    return xr.concat(each.values(), xr.Variable("case", list(each)))


def network(
    model: Densifier, observations: dict[str, xr.Dataset], factors: xr.Dataset
) -> dict[str, xr.Dataset]:
    """{method: (case, time, …)}: ensemble, background, regression and calibrated ensemble.

    Args:
        model: the network.
        observations: {case: observations}.
        factors: from `fit_calibration_by_case`, on validation months of the model's own ocean.
    """
    found: dict[str, dict[str, xr.Dataset]] = {}
    for case, seen in observations.items():
        drawn = reconstruct(
            model, seen, members=MEMBERS, sampling=Sampling(STEPS), device=device_name()
        )
        made = calibration.drawn_results(drawn)
        ensemble = made.pop("reconstruction")
        made = {f"{OURS}'s {name}": stated for name, stated in made.items()}
        own = factors.sel(case=case, drop=True)
        made[f"{OURS}, calibrated"] = calibration.apply_calibration(ensemble, own)
        ensemble = ensemble[["mean", "members"]]
        for name, result in (made | {OURS: ensemble}).items():
            found.setdefault(name, {})[case] = result
    return {name: _by_case(each) for name, each in found.items()}


def _keep(ocean: str, made: dict[str, xr.Dataset]) -> None:
    # The order matters: the last file marks all of them as complete.
    for name, each in made.items():
        reconstruction_file.write_reconstruction(each, results.file(ocean, name))


def run(name: str) -> None:
    """Compute the missing reconstructions of one ocean."""
    (_demo_ocean if name in OCEANS else _section)(name)


def _demo_ocean(name: str) -> None:
    published = f"{OURS}, mean and error"
    if results.file(name, published).exists():
        return
    print(f"{name}: applying the kept parameters")
    ocean = open_ocean(name)
    made = classical(fitted.methods(name), ocean.observations, fitted.statistics(name))
    _keep(name, made | {published: fitted.reconstruction(ocean)})


def _section(name: str) -> None:
    store, cases = sections.open_section(name)
    seen = {case: observations for case, (_, observations) in cases.items()}
    specifications = [specification for specification, _ in cases.values()]
    if not results.file(name, "reduced space").exists():
        print(f"{name}: tuning the classical methods")
        tuned = {
            case: tuning.tune_methods(store, specification, show=print)
            for case, (specification, _) in cases.items()
        }
        _keep(name, classical(tuned, seen, store.statistics()))
    if not results.file(name, OURS).exists():
        print(f"{name}: training its network")
        model = section_network.trained(store, specifications, results.file(name, OURS).parent)
        factors = section_network.fitted(
            model, store, specifications, members=MEMBERS, sampling=Sampling(STEPS)
        )
        _keep(name, network(model, seen, factors))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = [*OCEANS, *(sections.NAMES if sections.SECTIONS.is_dir() else ())]
    parser.add_argument(
        "oceans", nargs="*", metavar="OCEAN", help=f"one of {known}; all by default"
    )
    for name in parser.parse_args().oceans or known:
        run(name)
    results.publish()


if __name__ == "__main__":
    main()
