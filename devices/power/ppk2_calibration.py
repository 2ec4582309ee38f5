"""From what a Power Profiler Kit II's converter shows to amperes, by the constants that it brings along.

Range r, converter value a (of 14 bits, times 4), source voltage V in volts; R in ohms, the rest as the kit gives it:

    x = (a - O[r]) * (1.8 / 163840) / R[r]
    amperes = UG[r] * (x * (GS[r] * x + GI[r]) + S[r] * V + I[r])

Source: Nordic's Power Profiler app, src/device/serialDevice.ts (github.com/NordicSemiconductor/pc-nrfconnect-ppk). Its filter of
the spikes where the range changes is left out: its constants are documented nowhere, and it would smooth what is to be added up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from edgepipe.devices.power.ppk2_stream import RANGES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VOLTS_A_STEP = 1.8 / 163840
CODES = 1 << 14
FULL_SCALE_A = 1.0  # PPK2 User Guide, Measurement resolution: the highest range ends here
LINE = re.compile(rb"^([A-Za-z]{1,12}[0-4]?): *(\S{1,40})\s*$", re.MULTILINE)
FAMILIES = ("R", "GS", "GI", "O", "S", "I")


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What a PPK2 says of itself: its constants by name ("R0", …), without those that are no numbers."""

    values: dict[str, float]

    def missing(self) -> list[str]:
        """Return the constants that a current needs and that it lacks."""
        names = [f"{family}{number}" for family in FAMILIES for number in range(RANGES)]
        return [name for name in names if name not in self.values or (name[0] == "R" and self.values[name] <= 0)]

    def of(self, family: str, number: int) -> float:
        """Return a constant of a range; a user's gain is 1 where none was ever set."""
        return self.values.get(f"{family}{number}", 1.0) if family == "UG" else self.values[f"{family}{number}"]


def read_metadata(answer: bytes) -> Metadata:
    """Return what stands in an answer to GetMetadata: lines of "name: value", in any order, between anything else."""
    values = {}
    for name, value in LINE.findall(answer):
        try:
            number = float(value)
        except ValueError:
            continue
        if isfinite(number):
            values[name.decode()] = number
    return Metadata(values=values)


def amperes(metadata: Metadata, volts: float) -> NDArray[np.float64]:
    """Return the current for each value of a word's lowest 17 bits, (131072,) float64; NaN for a range that there is not."""
    import numpy as np

    codes = 4.0 * np.arange(CODES)
    table = np.full((8, CODES), np.nan)
    for r in range(RANGES):
        gain, square, shift, scale, fixed, users = (metadata.of(family, r) for family in ("GI", "GS", "O", "S", "I", "UG"))
        x = (codes - shift) * (VOLTS_A_STEP / metadata.of("R", r))
        table[r] = users * (x * (square * x + gain) + scale * volts + fixed)
    return table.reshape(-1)


def saturated(words: NDArray[np.uint32], amps: NDArray[np.float64]) -> int:
    """Return how many samples show no more than the highest range can.

    Lower ranges end where the next begins: at the top of one, the kit is changing to the next, within a sample or two.
    """
    import numpy as np

    if not words.size or amps.max() < FULL_SCALE_A:
        return 0
    highest = (words >> 14 & 7) == RANGES - 1
    return int(np.count_nonzero(highest & ((amps >= FULL_SCALE_A) | ((words & CODES - 1) == CODES - 1))))
