"""Reads a meter until enough has come, or for too long."""

from __future__ import annotations

from time import monotonic

from edgepipe.devices.power.meter import PowerMeter, Samples

SOON_S = 20.0


def shown(meter: PowerMeter, count: int) -> list[Samples]:
    """Pieces with at least `count` samples together."""
    pieces, end = list[Samples](), monotonic() + SOON_S
    while sum(piece.time_s.size for piece in pieces) < count:
        assert monotonic() < end, "no samples"
        pieces.append(meter.read(deadline_s=1.0))
    return pieces


def some(meter: PowerMeter) -> Samples:
    """The first piece that has a sample."""
    return shown(meter, 1)[-1]
