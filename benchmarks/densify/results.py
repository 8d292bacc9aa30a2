"""The table of our methods, from files of reconstructions and from the scores kept in git.

`measured` scores the files `outputs/benchmark/OCEAN/METHOD.nc` that exist; `published` reads
`benchmarks/results/densify.csv`; `publish` updates it with the measured scores and writes the
tables of `benchmarks/results/densify.md` and of the README.
"""

from pathlib import Path

import pandas as pd
import xarray as xr

from ocean_lib.core.atomic import atomic_write
from ocean_lib.runs.paths import workspace
from ocean_lib.scores import report
from ocean_lib.scores.score_table import LAYER_NAMES, read_scores, write_scores

from . import sections
from .cases import OCEANS, open_ocean, pooled
from .score import BELOW, open_result, pool_results, score

__all__ = ["GROUPS", "combined", "file", "measured", "publish", "published", "tables"]

HERE = Path(__file__).resolve().parent
SCORES = HERE.parent / "results" / "densify.csv"
GROUPS = {
    "demo_1": OCEANS[:1],
    "demo_2 + demo_3": OCEANS[1:],
    **{name: (name,) for name in sections.NAMES},
    "sections": sections.NAMES,
}
TITLES = {
    "demo_1": "Demo ocean, version 1, that the network is trained on (seed 1)",
    "demo_2 + demo_3": "Demo oceans, version 1, that it is not trained on (seeds 2 and 3)",
    "sections": "GLORYS12 sections, all three",
}
ORDER = (
    "climatology",
    "linear",
    "optimal interpolation",
    "regression + optimal interpolation",
    "reduced space",
    "network's background",
    "network's regression",
    "network",
    "network, calibrated",
    "network, mean and error",
)
METRICS = ("rmse", "crps", "skill", "spread_skill", "coverage")
KEPT = (*METRICS, "rmse_difference", "crps_difference", "rmse_difference_block")
LAYERS = (*LAYER_NAMES, BELOW)
KEY = ["ocean", "case", "method", "reference", "layer", "depth", "block", "metric"]
START, END = "<!-- table -->\n", "<!-- end of table -->"


def file(ocean: str, method: str) -> Path:
    """File of a method's reconstructions of an ocean, with a dimension `case`."""
    return workspace() / "outputs" / "benchmark" / ocean / f"{method}.nc"


def measured(folder=sections.SECTIONS, show=print) -> pd.DataFrame:
    """Scores of the methods with files for all oceans of a group.

    Args:
        folder: of the sections, which are skipped if it does not exist.
        show: called with a line per group.
    """
    tables = []
    for group, names in GROUPS.items():
        methods = [m for m in ORDER if all(file(name, m).is_file() for name in names)]
        if not methods or (names[0] in sections.NAMES and not Path(folder).is_dir()):
            continue
        show(f"scoring {group}: {', '.join(methods)}")
        each = [open_ocean(name, folder) for name in names]
        ocean = pooled(each) if names[1:] else each[0]
        ours = "network" if "network" in methods else "reduced space"
        for case in ocean.observations:  # one at a time, because ensembles are large
            of_case = {}
            for method in methods:
                paths = [file(one.name, method) for one in each]
                if case in _cases(paths[0]):
                    parts = [open_result(path, one, case) for path, one in zip(paths, each)]
                    of_case[method] = (pool_results(parts) if names[1:] else parts[0])[case]
            if of_case:
                tables.append(score(ocean, {case: of_case}, ours).assign(ocean=group))
    if not tables:
        return pd.DataFrame(columns=KEY)
    table = pd.concat(tables, ignore_index=True)
    shown = table.layer.isin(LAYERS) & (table.block.isna() | (table.layer == "all"))
    return table[table.metric.isin(KEPT) & shown]


def _cases(path: Path) -> list[str]:
    with xr.open_dataset(path, engine="netcdf4") as held:
        return held["case"].values.tolist()


def published() -> pd.DataFrame:
    """The scores kept in git."""
    return read_scores(SCORES) if SCORES.is_file() else pd.DataFrame(columns=KEY)


def combined(new: pd.DataFrame, old: pd.DataFrame) -> pd.DataFrame:
    """New scores, and the old scores of the oceans and methods that were not scored again.

    A column `measured` says "now" or "as published".
    """
    tables = [new.assign(measured="now"), old.assign(measured="as published")]
    there = [table for table in tables if len(table)] or tables[:1]
    return pd.concat(there).drop_duplicates(KEY, ignore_index=True)


def markdown(scores: pd.DataFrame, metrics=("rmse", "crps"), layer: str = "all") -> str:
    """Methods × cases and metrics of one group, a Markdown table of `report.table`."""
    columns = {}
    for case in dict.fromkeys(scores.case):
        for metric in metrics:
            name = {"rmse": "RMSE, °C", "crps": "CRPS, °C"}.get(metric, metric.replace("_", "–"))
            one = scores[scores.case == case]
            if ((one.metric == metric) & (one.layer == layer)).any():
                columns[f"{case}: {name}"] = report.table(one, metric, layer)[case]
    table = pd.DataFrame(columns)
    table = table.reindex([method for method in ORDER if method in table.index]).fillna("")
    if "measured" in scores:
        now = scores[(scores.measured == "now") & (scores.reference == "truth")].method
        table["measured"] = ["now" if m in set(now) else "as published" for m in table.index]
    rows = [["method", *table.columns], ["---"] * (len(table.columns) + 1)]
    rows += [[name, *row] for name, *row in table.itertuples()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def tables(scores: pd.DataFrame) -> str:
    """Tables of the README: all depths of the three groups, and the sections below 190 m."""
    parts = []
    for group, title in TITLES.items():
        mine = scores[scores.ocean == group]
        for layer in ("all", BELOW):
            if (mine.layer == layer).any():
                where = "" if layer == "all" else f", below {layer[1:]} m"
                parts.append(f"**{title}{where}**\n\n{markdown(mine, layer=layer)}")
    return "\n\n".join(parts)


def publish() -> None:
    """Score the existing files; write the scores, the tables by layer and the README's tables."""
    scores = combined(measured(), published()).drop(columns="measured")
    scores = scores.sort_values("ocean", key=lambda o: o.map([*GROUPS].index), kind="stable")
    write_scores(scores, SCORES)
    scores = published()
    title = "# Densification, demo ocean, version 1, and GLORYS12 sections: all methods by layer"
    lines = [title, "", "`python -m benchmarks.densify.methods`"]
    for group in GROUPS:
        mine = scores[scores.ocean == group]
        for layer in LAYERS:
            if (mine.layer == layer).any():
                where = "all depths" if layer == "all" else f"{layer} m"
                lines += ["", f"## {TITLES.get(group, group)}, {where}", ""]
                lines.append(markdown(mine, METRICS, layer))
    readme = HERE / "README.md"
    before, _, rest = readme.read_text().partition(START)
    text = f"{before}{START}\n{tables(scores)}\n\n{END}{rest.partition(END)[2]}"
    for path, content in ((SCORES.with_suffix(".md"), "\n".join(lines) + "\n"), (readme, text)):
        with atomic_write(path) as beside:
            beside.write_text(content)
    print(tables(scores))
