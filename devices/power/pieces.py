"""Pieces of a trace made one, and one cut; what was lost, saturated or reset is counted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgepipe.devices.power.meter import Samples


def joined(pieces: Sequence[Samples]) -> Samples:
    """Return consecutive pieces as one, with the counts of all of them."""
    import numpy as np

    nothing = np.zeros(0)
    markers = [piece.marker for piece in pieces if piece.marker is not None]
    return Samples(
        time_s=np.concatenate([nothing, *(piece.time_s for piece in pieces)]),
        volts=np.concatenate([nothing, *(piece.volts for piece in pieces)]),
        amps=np.concatenate([nothing, *(piece.amps for piece in pieces)]),
        marker=np.concatenate(markers) if markers else None,
        dropped=sum(piece.dropped for piece in pieces),
        saturated=sum(piece.saturated for piece in pieces),
        resets=sum(piece.resets for piece in pieces),
    )


def cut(piece: Samples, part: slice, *, counted: bool) -> Samples:
    """Return a part of a piece, which is `counted` with all that the piece counts, or with nothing."""
    counts = {} if counted else {"dropped": 0, "saturated": 0, "resets": 0}
    marker = None if piece.marker is None else piece.marker[part]
    return replace(piece, time_s=piece.time_s[part], volts=piece.volts[part], amps=piece.amps[part], marker=marker, **counts)
