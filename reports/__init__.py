"""Reads records, renders them; never touches a device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from edgepipe.reports.store import Store


def load(store: Store | str | Path | None = None) -> pd.DataFrame:
    """Return all measurements as a tidy DataFrame, one row a block, units in the columns' names, empty for "not measured".

    `store` is a Store, a path or a database URL; without one, that of ./edgepipe-results. Raises StorageError.
    """
    from edgepipe.reports.frame import frame
    from edgepipe.reports.store import Store

    return frame((store if isinstance(store, Store) else Store(store)).runs())


def to_csv(path: Path, store: Store | str | Path | None = None) -> None:
    """Write what `load` returns as CSV, whole or not at all. Raises StorageError."""
    from edgepipe import places

    places.write_whole(path, load(store).to_csv(index=False))
