"""Run our methods on all cases: `python -m benchmarks.densify.methods [OCEAN …]`.

The classical methods are tuned on the validation months of the ocean's own store (`tune_methods`).
Anyone can build that store from its seed: another trajectory with the same statistics. The network
is that of `outputs/demo`, trained on demo_1 alone; on the other demo oceans its weights are kept,
while climatology, standard deviation and background come from their stores. Each reconstruction is
written to `outputs/benchmark/OCEAN/METHOD.nc` unless the file exists. At the end all files are
scored, and scores and tables are written to `benchmarks/results` and the README.
"""

import argparse

import xarray as xr

from ocean_lib.classical import tuning
from ocean_lib.fields import reconstruction_file
from ocean_lib.model.background import fit_background
from ocean_lib.model.densifier import Densifier
from ocean_lib.reconstruct.ensemble import reconstruct
from ocean_lib.reconstruct.sampling import Sampling
from ocean_lib.runs.paths import device_name, workspace
from ocean_lib.scores import calibration
from ocean_lib.store.store import Store

from . import freeze, results, section_network, sections
from .cases import OCEANS, open_ocean

__all__ = ["OURS", "classical", "moved", "network"]

OURS = "network"
MEMBERS, STEPS = 16, 8


def classical(
    store: Store, cases: dict[str, tuple[dict, xr.Dataset]], show=print
) -> dict[str, xr.Dataset]:
    """Tune and apply every method of `tune_methods`: {method: mean and error (case, time, …)}.

    Args:
        cases: {case: (specification, observations)}.
    """
    found: dict[str, dict[str, xr.Dataset]] = {}
    for case, (specification, observations) in cases.items():
        for name, method in tuning.tune_methods(store, specification, show=show).items():
            found.setdefault(name, {})[case] = method(observations, store.statistics())
    return {name: _by_case(each) for name, each in found.items()}


def _by_case(each: dict[str, xr.Dataset]) -> xr.Dataset:
    return xr.concat(each.values(), xr.Variable("case", list(each)))


def moved(
    model: Densifier, store: Store, specifications: list[dict], evaluations: int = 60
) -> Densifier:
    """The same networks with the climatology, the deviation and the background of another ocean.

    Args:
        model: trained on its own ocean.
        store: of the other ocean.
        specifications: patterns for which the background is tuned on the validation months.
        evaluations: of each search for the scales of the background.
    """
    elsewhere = Densifier(
        store.statistics(),
        fit_background(store, specifications, evaluations=evaluations),
        mode=model.mode,
        diffusion=model.diffusion,
        network=model.network,
    )
    elsewhere.regressor, elsewhere.denoiser = model.regressor, model.denoiser
    return elsewhere.eval()


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
        ensemble = drawn[["mean", "members"]]
        made = {f"{OURS}'s background": drawn[["background"]].rename(background="mean")}
        if "deviation" in drawn:
            stated = drawn[["mean", "deviation"]].rename(deviation="error")
            made[f"{OURS}'s regression"] = stated
        own = factors.sel(case=case, drop=True)
        made[f"{OURS}, calibrated"] = calibration.apply_calibration(ensemble, own)
        for name, result in (made | {OURS: ensemble}).items():
            found.setdefault(name, {})[case] = result
    return {name: _by_case(each) for name, each in found.items()}


def _keep(ocean: str, made: dict[str, xr.Dataset]) -> None:
    # The order matters: the last file marks all of them as complete.
    for name, each in made.items():
        reconstruction_file.write_reconstruction(each, results.file(ocean, name))


def run(name: str) -> None:
    """Compute the missing reconstructions of one ocean."""
    if name in OCEANS:
        store, seen = freeze.demo_store(int(name[-1])), open_ocean(name).observations
        cases = {each["name"]: (each, seen[each["name"]]) for each in freeze.DEMO}
    else:
        store, cases = sections.open_section(name)
    if not results.file(name, "reduced space").exists():
        print(f"{name}: tuning the classical methods")
        _keep(name, classical(store, cases))
    if results.file(name, OURS).exists():
        return
    specifications = [specification for specification, _ in cases.values()]
    if name not in OCEANS:
        print(f"{name}: training its network")
        model = section_network.trained(store, specifications, results.file(name, OURS).parent)
        fitted = section_network.fitted(
            model, store, specifications, members=MEMBERS, sampling=Sampling(STEPS)
        )
        _keep(name, network(model, {case: seen for case, (_, seen) in cases.items()}, fitted))
        return
    demo = workspace() / "outputs" / "demo"
    if not (demo / "reconstruction.nc").exists():
        print(f"{name}: no network in {demo}; train it with `make demo`")
        return
    print(f"{name}: reconstructing with the network")
    model = Densifier.load(demo / "checkpoint.safetensors")
    if name != OCEANS[0]:
        model = moved(model, store, specifications)
    with xr.open_dataset(demo / "reconstruction.nc") as own:
        factors = calibration.stored_factors(own).load()
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
