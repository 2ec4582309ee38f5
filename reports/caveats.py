"""What the figures of a report cannot tell: how they were made and the smallest change they could have seen, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgepipe.records import CompressionRecord, RunRecord
from edgepipe.reports import energy, ledger, summary, words


@dataclass(frozen=True, kw_only=True)
class Caveat:
    """One limit: what it is about, and the limit in figures."""

    about: str
    text: str


def caveats(compressions: Sequence[CompressionRecord], runs: Sequence[RunRecord]) -> tuple[Caveat, ...]:
    """Return the limits that hold for exactly these records, each sentence once."""
    found = [*(item for record in compressions for item in _of_compression(record)), *_of_runs(runs)]
    return tuple(dict.fromkeys(found))


def _of_compression(record: CompressionRecord) -> Iterator[Caveat]:
    answered = [row for row in record.rows if row.accuracy is not None]
    if not answered:
        yield Caveat(about=f"Accuracy · {record.recipe}", text="Not measured: there was no test data.")
        return
    engines = ", ".join(dict.fromkeys(row.accuracy_engine for row in answered if row.accuracy_engine))
    text = f"{record.metric.capitalize()} of {record.test_samples} test samples"
    text += f", answered by {engines}. " if engines else ". "
    widths = [line.difference.high - line.difference.low for line in ledger.lines(record) if line.difference]
    if widths:
        text += (
            f"The 95 % intervals of the differences are up to {max(widths):.1f} points wide "
            "(same samples; Newcombe 1998, method 10), so a smaller difference may be chance. "
            "They say nothing about data unlike the test data."
        )
    else:
        text += "The single answers were not kept, so no interval can be given for the differences."
    yield Caveat(about=f"Accuracy · {record.recipe}", text=text)
    whole = [row for row in answered if row.int8_mac_share == 1]
    others = [row.accuracy_engine for row in whole if "tflm" not in row.accuracy_engine.lower()]
    if record.target == "mcu" and others:
        text = f"{others[-1]} is not what a microcontroller runs: int8 outputs may differ there by a step, and a few answers."
        yield Caveat(about="Microcontroller", text=text)
    if any(row.latency_us is not None for row in record.rows):
        text = (
            "The ledger's latencies were taken one stage after another, not in turns: read them as sizes of things, not as a test."
        )
        yield Caveat(about="Latency in the ledger", text=text)
    if any(row.arena_bytes is not None for row in record.rows):
        text = "Found with TensorFlow Lite Micro on a 64-bit PC, which needs somewhat more than a 32-bit board."
        yield Caveat(about="Arena", text=text)


def _of_runs(runs: Sequence[RunRecord]) -> Iterator[Caveat]:
    timed = [run for run in runs if run.blocks]
    real = [run for run in timed if not run.device.emulated]
    visible = [(run, change) for run in real if (change := summary.of(run).smallest_visible_change) is not None]
    if visible:
        listed = ", ".join(f"{words.percent(change)} for {run.artefact_name} on {run.device.name}" for run, change in visible)
        text = (
            f"Judged by the spread of their blocks, ten interleaved pairs would see a change of {listed} (two stages, 90 % power)."
        )
        yield Caveat(about="Smallest visible change of latency", text=text)
    if len(real) > 1:
        text = "Two measurements of this page were not made in turns: the device may have drifted between them."
        yield Caveat(about="Between measurements", text=text)
    if any(run.device.counts_instructions for run in timed):
        text = "Marked rows count the instructions of an emulated board in virtual time: they rank models, they are not seconds."
        yield Caveat(about="Emulated", text=text)
    if any(run.device.emulated and not run.device.counts_instructions for run in timed):
        text = "Marked rows were timed on an emulated processor: they say that the models run there, not how fast."
        yield Caveat(about="Emulated", text=text)
    if any(summary.of(run).peak_memory_bytes is not None for run in timed):
        text = "Peak memory is that of the whole process: interpreter and runtime libraries included, not the model alone."
        yield Caveat(about="Memory", text=text)
    yield from _of_energy(runs)


def _of_energy(runs: Sequence[RunRecord]) -> Iterator[Caveat]:
    metered = [run for run in runs if run.energy]
    if not metered:
        yield Caveat(about="Energy", text="Not measured: no power meter took part.")
    if any(run.energy and run.energy.energy_uj is not None and not energy.is_real(run) for run in metered):
        text = "Marked energies are simulated or of an emulated board: they show how the figures come about, and are none."
        yield Caveat(about="Energy", text=text)
    if mixed := energy.mixed(metered):
        yield Caveat(about="Between energies", text=mixed)
    visible = energy.smallest_change(metered)
    if visible:
        listed = ", ".join(f"{words.percent(change)} for {run.artefact_name} on {run.device.name}" for run, change in visible)
        yield Caveat(
            about="Smallest visible change of energy", text=f"With the same meter, another figure must differ by {listed}."
        )
    for run, ratio in energy.paces(metered):
        text = f"In the loops under the meter {run.artefact_name} took {words.factor(ratio)} the time that was timed beside them"
        yield Caveat(about=f"Energy on {run.device.name}", text=f"{text}: the board had something else to do in one of them.")
    if any(run.energy and run.energy.self_measured for run in metered):
        text = "A sensor that is read on the board under test adds that reading to what it measures."
        yield Caveat(about="Self-measured energy", text=text)
