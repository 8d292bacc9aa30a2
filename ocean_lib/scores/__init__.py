"""Scores: metrics, bootstrap intervals, calibration, and the table of scores.

Everything that judges a reconstruction against the truth; nothing here knows of networks.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "bootstrap": ["block_numbers", "decorrelation", "interval"],
        "calibration": ["apply_calibration", "fit_calibration_by_case", "stated_spread"],
        "evaluation": ["hidden_ocean", "read_scores", "score_methods", "write_scores"],
        "report": ["compare_runs", "read_runs", "summary", "table", "verdict"],
    },
)
