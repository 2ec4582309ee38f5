"""The energies that were published with MLPerf Tiny's rounds, found again in the traces that were published with them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from benchmarks.result import write
from edgepipe.workflows.power_import import Imported, power_import

COMMAND = "python -m benchmarks.published_energy"
TRACES = Path(__file__).resolve().parents[2] / "shared" / "data" / "energy"  # its README says where they are from
WINDOW_V05 = re.compile(r"Energy/Inf\.\s*:\s*([0-9.]+) uJ")
INFERENCES_V05 = re.compile(r"# Inferences\s*:\s*([0-9]+)")
WINDOW_V13 = re.compile(r"Energy/Inf\s*:\s*([0-9.]+) uJ")
MEDIAN = re.compile(r"Median energy cost is ([0-9.]+) uJ")


def measure(folder: Path) -> dict[str, Any]:
    """Return what we find of each window beside what was published."""
    old = (folder / "v05_kws_results.txt").read_text()
    (v05,) = power_import([folder / "v05_kws.bin"], inferences=int(INFERENCES_V05.findall(old)[0]))
    (v13,) = power_import([folder / "v13_L4R5_kws.json"])
    new = (folder / "v13_L4R5_kws_results.txt").read_text()
    return {
        "v0.5": _beside(v05, WINDOW_V05.findall(old), MEDIAN.findall(old)[0]),
        "v1.3": _beside(v13, WINDOW_V13.findall(new), MEDIAN.findall(new)[0]),
    }


def _beside(imported: Imported, windows: list[str], median: str) -> dict[str, Any]:
    energy = imported.energy
    assert energy.energy_uj is not None, energy.reason
    each_uj = [window.energy_uj / window.inferences for window in energy.windows]
    digits = len(median.partition(".")[2])
    return {
        "windows_uj": [
            {"published": float(text), "found": round(own, 4), "apart_percent": round(100 * abs(own / float(text) - 1), 5)}
            for text, own in zip(windows, each_uj, strict=True)
        ],
        "windows_to_every_digit": sum(
            f"{own:.{len(text.partition('.')[2])}f}" == text for text, own in zip(windows, each_uj, strict=True)
        ),
        "furthest_apart_percent": round(
            max(100 * abs(own / float(text) - 1) for text, own in zip(windows, each_uj, strict=True)), 5
        ),
        "median_uj": {"published": median, "found": f"{energy.energy_uj:.{digits}f}"},
    }


def main() -> None:
    """Compare and write."""
    if not TRACES.is_dir():
        sys.exit(f"the published traces are not at {TRACES}")
    figures = measure(TRACES)
    print(figures)
    print(write("published_energy", COMMAND, figures))


if __name__ == "__main__":
    main()
