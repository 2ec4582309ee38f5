"""What a meter may be wrong by where only its owner knows: three settings, none of which may be left out, or be nothing."""

from __future__ import annotations

from dataclasses import dataclass

from edgepipe.devices.power.meter import Amperes, ErrorTerms, MeterSettings, Share

STATED = ("gain_error", "volts_error", "offset_a")


@dataclass(frozen=True, kw_only=True)
class StatedErrors(MeterSettings):
    """It may be wrong by ±`gain_error` of the current, by ±`offset_a`, and by ±`volts_error` of the voltage.

    0 stands where nothing was stated, and is refused: an energy would claim to be exact, or nearly.
    """

    gain_error: Share = 0.0
    volts_error: Share = 0.0
    offset_a: Amperes = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError with every error that is not stated."""
        unstated = [name for name in STATED if not getattr(self, name)]
        if unstated:
            raise ValueError(
                f"{', '.join(unstated)} must be stated, and be more than 0: without them nobody knows how right an energy is. The"
                " instrument's data sheet has them under accuracy: ±(0.1 % of reading + 20 uA) is gain_error: 0.001 and"
                " offset_a: 2.0e-5, ±0.05 % of the voltage is volts_error: 0.0005"
            )

    def errors(self) -> ErrorTerms:
        """Return them as standard uncertainties."""
        return ErrorTerms.within(gain=self.gain_error, volt=self.volts_error, offset_a=self.offset_a, source="the inventory")
