"""Make new frozen cases: `python -m benchmarks.densify.freeze`.

Notebook 01 builds the oceans of three seeds (`data/store/demo`, `demo_2`, `demo_3`) unless they
exist, and the first test months of each are written to `cases/` with the observations of the demo's
two cases. The stations of the sections are drawn if the sections' files exist. The hashes of all
files are written to `cases/SHA256SUMS`.

The demo ocean is chaotic, so its trajectory depends on the machine: on another machine this command
makes other cases, and their scores cannot be compared with those published.
"""

from pathlib import Path

import pandas as pd

from ocean_lib.core.atomic import atomic_write
from ocean_lib.observations.batch import observe
from ocean_lib.runs.paths import workspace
from ocean_lib.store.store import Store

from . import hashes, sections
from .cases import CASES, of_levels, write

__all__ = ["DEMO", "demo_store", "freeze_demo", "freeze_stations"]

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


def main() -> None:
    CASES.mkdir(exist_ok=True)
    if sections.SECTIONS.is_dir():
        freeze_stations()
    for seed in SEEDS:
        freeze_demo(seed)
    hashes.write(CASES / "SHA256SUMS", [p for p in CASES.iterdir() if p.name != "SHA256SUMS"])


if __name__ == "__main__":
    main()
