"""Which power cannot be: more or less than a Raspberry Pi can take at all, which is a wrong shunt, or none that the meter sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from edgepipe.devices.power.meter import ErrorTerms, MeterSettings

S = TypeVar("S", bound=MeterSettings)
INPUT_V = 5.1
# Amperes when idle, and of the supply that is recommended, by the beginning of the name in the board's device tree. From Raspberry
# Pi's documentation, "Power supply" (computers/raspberry-pi/power-supplies.adoc): the average idle current where it is told, else
# half of the typical bare-board current. Later boards are not in that table.
AMPERES = {
    "Raspberry Pi 4 Model B": (0.6, 3.0),
    "Raspberry Pi 400": (0.4, 3.0),
    "Raspberry Pi 3 Model A Plus": (0.175, 2.5),
    "Raspberry Pi 3 Model B": (0.3, 2.5),
    "Raspberry Pi 2 Model B": (0.22, 1.8),
    "Raspberry Pi Zero 2 W": (0.175, 2.0),
    "Raspberry Pi Zero": (0.1, 1.2),
}
NEAR_ZERO = 3  # standard uncertainties of a meter's zero
LEAST_SHARE = 1 / 3  # of the idle current: theirs was with a display and a network


def believable(settings: S, model: str) -> S:
    """Return the settings with the limits of a board of that name (as its device tree has it) where they say nothing themselves."""
    amperes = next((amperes for name, amperes in AMPERES.items() if model.startswith(name)), None)
    if amperes is None:
        return settings
    idle_a, most_a = amperes
    return replace(
        settings,
        least_w=settings.least_w or LEAST_SHARE * idle_a * INPUT_V,
        most_w=settings.most_w or most_a * INPUT_V,
    )


def beyond(powers_w: Sequence[float], settings: MeterSettings) -> Iterator[str]:
    """Yield a sentence where one of the powers, in watts, is outside the limits of the settings."""
    least_w, most_w = settings.least_w, settings.most_w
    if (least_w is not None and min(powers_w) < least_w) or (most_w is not None and max(powers_w) > most_w):
        limits = [f"{name}: {watts:g}" for name, watts in (("least_w", least_w), ("most_w", most_w)) if watts is not None]
        yield (
            f"power from {1e3 * min(powers_w):.4g} mW to {1e3 * max(powers_w):.4g} mW is outside {', '.join(limits)} of the"
            " inventory (usually the shunt is another one than shunt_ohm says: read what is printed on it)"
        )


def lost_in_zero(watts: float, volts: float, errors: ErrorTerms) -> Iterator[str]:
    """Yield why a mean power cannot be told from none: it is within NEAR_ZERO standard uncertainties of the meter's zero."""
    if watts <= NEAR_ZERO * abs(errors.offset_a * volts):
        yield (
            f"the power is {watts * 1e3:.4g} mW, which this meter cannot tell from none"
            " (nothing draws current, the leads are swapped, or it is a meter for larger currents)"
        )
