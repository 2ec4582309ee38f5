"""Demo: the whole way on bundled data, from training a network to a report, with nothing but this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgepipe.devices.transports.qemu import missing_packages
from edgepipe.events import Emit, Note
from edgepipe.pipeline.cache import Cache, key_of
from edgepipe.pipeline.recipe import DataSpec, load_recipe
from edgepipe.pipeline.splits import prepare, stored
from edgepipe.pipeline.worker import Worker
from edgepipe.places import results_dir, write_whole
from edgepipe.records import CompressionRecord, RunRecord
from edgepipe.reports.store import Store
from edgepipe.workflows.bench import bench
from edgepipe.workflows.compress import compress
from edgepipe.workflows.report import report

SEED = 0
MICROCONTROLLER, MACHINE = "mcu-m4-qemu", "mps2-an386"  # one of the built-in boards

PTQ_RECIPE = """\
# int8 without training: the quick way.
schema: 1
model: {path: digits.keras}
data: {train: digits, test: 0.3, validation: 0.15}
target: mcu
stages:
  - quantize: {mode: int8}
gates: {accuracy_drop_points: 1.0, size_bytes: 98304, arena_bytes: 65536}
"""

SMALL_RECIPE = """\
# Zeros, few values, then int8 with training that keeps both: the small way.
schema: 1
model: {path: digits.keras}
data: {train: digits, test: 0.3, validation: 0.15}
target: mcu
train: {epochs: 10}
stages:
  - prune: {sparsity: 0.8, epochs: 20}
  - cluster: {clusters: 16, epochs: 6}
  - quantize: {mode: qat}
gates: {accuracy_drop_points: 2.0, gzip_bytes: 24576, arena_bytes: 65536}
"""


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """What the demo made, in order."""

    folder: Path
    compressions: tuple[CompressionRecord, ...]
    runs: tuple[RunRecord, ...]
    report: Path


def demo(*, emit: Emit) -> DemoResult:
    """Train the digits network, run two recipes on it, measure float and int8 here and on an emulated Cortex-M4, write the report.

    Without the emulator that row is left out, and a note says so.

    Everything stands in <results>/demo, ready to be changed and run again with `edgepipe compress`.
    """
    folder = results_dir() / "demo"
    _model(folder / "digits.keras", emit)
    compressions = []
    for name, text in (("ptq", PTQ_RECIPE), ("small", SMALL_RECIPE)):
        write_whole(folder / f"{name}.yaml", text)
        compressions.append(compress(load_recipe(folder / f"{name}.yaml"), emit=emit))
    runs: list[RunRecord] = []
    for artefact in (compressions[1].artefacts[0], compressions[0].artefacts[-1], compressions[1].artefacts[-1]):
        runs += bench(Path(artefact.folder) / "model.tflite", emit=emit)
    runs += _on_a_microcontroller(Path(compressions[1].artefacts[-1].folder) / "model.tflite", emit)
    store = Store()
    for run in runs:
        store.add(run)
    page = report(store).page
    return DemoResult(folder=folder, compressions=tuple(compressions), runs=tuple(runs), report=page)


def _on_a_microcontroller(model: Path, emit: Emit) -> tuple[RunRecord, ...]:
    missing = missing_packages(MACHINE)
    if missing:
        emit(Note(text=f"nothing was run on a Cortex-M: no emulator here (Debian: apt-get install {' '.join(missing)})"))
        return ()
    return bench(model, device=MICROCONTROLLER, emit=emit)


def _model(to: Path, emit: Emit) -> None:
    """Put the trained network at `to`, from the cache where it was trained before."""
    cache = Cache()
    splits = prepare(DataSpec(train="digits", test=0.3), Path(), (), seed=SEED, rescales=False, emit=emit)
    data = {name: str(stored(cache, splits[name])) for name in ("train", "validation")}
    key = key_of(what="demo network", data=data, seed=SEED)
    if (found := cache.find("demo", key)) is None:
        with cache.fill("demo", key) as part, Worker(emit) as worker:
            worker.request(do="demo", to=str(part / "digits.keras"), data=data, seed=SEED)
        found = cache.root / "demo" / key
    write_whole(to, (found / "digits.keras").read_bytes())
