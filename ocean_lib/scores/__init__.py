"""Scores: metrics, bootstrap intervals, calibration, and the table of scores.

It judges any reconstruction against the truth, whatever method made it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "bootstrap": ["block_numbers", "decorrelation", "interval"],
        "calibration": [
            "apply_calibration",
            "calibrate_method",
            "drawn_results",
            "fit_calibration_by_case",
            "stated_spread",
            "stored_factors",
        ],
        "derived": ["derived_tables", "score_derived"],
        "evaluation": ["score_methods"],
        "hidden": ["hidden_ocean"],
        "inversions": ["count_inversions", "inversions_table"],
        "report": ["compare_runs", "read_runs", "summary", "table", "verdict"],
        "score_table": ["read_scores", "write_scores"],
    },
)
