"""How values are written, the same on every page: units, signs, and a dash for what was not measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from edgepipe.facts import CalibrationFacts, Claim, ClaimKind, Proof
from edgepipe.records import DeviceIdentity, GateResult
from edgepipe.reports.stats import PairedDifference

DASH = "–"


def kilobytes(count: float | None) -> str:
    """255,300 bytes -> '255.3 kB'; below 1000 in bytes."""
    if count is None:
        return DASH
    if count < 1000:
        return f"{count:.0f} B"
    return f"{count / 1000:.1f} kB" if count < 1e6 else f"{count / 1e6:.2f} MB"


def whole(count: float | None) -> str:
    """68506 -> '68,506'."""
    return DASH if count is None else f"{count:,.0f}"


def factor(value: float | None) -> str:
    """12.94 -> '12.9×'."""
    return DASH if value is None else f"{value:.2f}×" if value < 9.95 else f"{value:.1f}×"


def percent(share: float | None, digits: int = 1) -> str:
    """0.8042 -> '80.4 %'."""
    return DASH if share is None else f"{100 * share:.{digits}f} %"


def share(metric: str, value: float | None) -> str:
    """An accuracy in percent, any other metric (an AUC, an error) as it is."""
    if metric == "accuracy" or value is None:
        return percent(value)
    return f"{value:.4f}"


def time(nanoseconds: float | None) -> str:
    """Three digits in the unit that suits: '142 µs', '1.25 ms', '3.10 s'."""
    if nanoseconds is None:
        return DASH
    for limit, size, unit in ((1e3, 1, "ns"), (1e6, 1e3, "µs"), (1e9, 1e6, "ms")):
        if abs(nanoseconds) < limit:
            return f"{digits(nanoseconds / size)} {unit}"
    return f"{digits(nanoseconds / 1e9)} s"


def digits(value: float) -> str:
    """Three significant digits without an exponent: '1.25', '12.5', '142', '1,420'."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == 0 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def microseconds(value: float | None) -> str:
    """A latency given in microseconds, as `time` writes it."""
    return time(None if value is None else 1000 * value)


def signed(value: float, places: int = 2) -> str:
    """-0.37 -> '−0.37' with a real minus, 0.37 -> '+0.37', and 0 without a sign."""
    text = f"{abs(value):.{places}f}"
    return text if not float(text) else f"{'+' if value > 0 else '−'}{text}"


def points(difference: PairedDifference | None) -> str:
    """'−0.37 [−1.20, +0.45]' in percentage points."""
    if difference is None:
        return DASH
    return f"{signed(difference.points)} [{signed(difference.low)}, {signed(difference.high)}]"


def seconds(value: float | None) -> str:
    """41.25 -> '41.3 s'; 125 -> '2 min 5 s'."""
    if value is None:
        return DASH
    return f"{value:.1f} s" if value < 99.95 else f"{value // 60:.0f} min {value % 60:.0f} s"


def moment(iso: str) -> str:
    """'2026-11-22 04:00 UTC' of an ISO 8601 time; the text itself where it is none."""
    try:
        when = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return f"{when:%Y-%m-%d %H:%M} UTC"


def measured(value: float | str | None) -> str:
    """A claim's or a gate's value: whole numbers without decimals, others with up to four digits."""
    if value is None:
        return DASH
    if isinstance(value, str):
        return value
    return whole(value) if float(value).is_integer() and abs(value) >= 1 else f"{value:.4g}"


def gate_value(gate: GateResult, value: float | None) -> str:
    """A gate's limit or measurement in the unit that its name ends with."""
    if gate.gate.endswith("_bytes") and value is not None:
        return f"{whole(value)} B"
    if gate.gate.endswith("_us"):
        return microseconds(value)
    if gate.gate.endswith("_points") and value is not None:
        return f"{value:.2f} points"
    if gate.gate.endswith("_percent") and value is not None:
        return f"{value:.1f} %"
    return measured(value)


def claim(claim: Claim) -> str:
    """'prune: sparsity 0.8'."""
    shape = f" of {claim.shape[0]}×{claim.shape[1]}" if claim.shape else ""
    some = f" in {short(', '.join(claim.layers), 60)}" if claim.kind is ClaimKind.DTYPE and claim.layers else ""
    return f"{claim.stage}: {claim.kind.replace('_', ' ')}{shape} {measured(claim.wanted)}{some}"


TREATMENTS = {
    "pruned": "pruned",
    "clustered": "clustered",
    "qat": "int8 by QAT",
    "ptq": "integers by conversion",
    "weights": "integer weights only",
    "float": "float",
}


def treatment(shares: Mapping[str, float]) -> str:
    """'multiply-accumulates: 93 % pruned, 88 % int8 by QAT, 12 % integers by conversion'; '' where there are none."""
    parts = (
        f"{percent(shares[name], 0 if shares[name] >= 0.01 else 1)} {text}" for name, text in TREATMENTS.items() if name in shares
    )
    return f"multiply-accumulates: {', '.join(parts)}" if shares else ""


def calibration(found: CalibrationFacts) -> str:
    """'ranges from 200 samples, settled: half of them would miss 2.1 % in conv'; and what single samples did to them."""
    settled = "settled" if found.converged else "not settled"
    parts = [f"ranges from {whole(found.samples)} samples"]
    if found.worst_tensor:
        where = found.worst_layer or short(found.worst_tensor, 40)
        parts[0] += f", {settled}: half of them would miss {percent(found.range_change)} in {where}"
    if found.constant_samples:
        parts.append(f"{whole(found.constant_samples)} of them hold one value throughout")
    if found.lone_samples:
        lone = found.lone_samples[0]
        label = "" if lone.label is None else f" (class {lone.label})"
        widths = f"{digits(lone.low)} … {digits(lone.high)}, the others {digits(lone.low_without)} … {digits(lone.high_without)}"
        parts.append(f"sample {lone.sample}{label} alone sets {lone.layer or short(lone.tensor, 40)}: {widths}")
    return "; ".join(parts)


def proof(proof: Proof) -> str:
    """'0.801 in the file' or '0.42 in the file; fails in conv2d, dense'."""
    found = f"{measured(proof.measured)} in the file"
    return found if proof.holds else f"{found}; fails in {', '.join(proof.failing) or 'the whole model'}"


def count(number: float | None) -> str:
    """2,734,336 -> '2.73 M'."""
    if number is None:
        return DASH
    return whole(number) if number < 1e4 else f"{digits(number / 1e3)} k" if number < 1e6 else f"{digits(number / 1e6)} M"


def emulation(device: DeviceIdentity) -> str:
    """What the times of an emulated device are, after 'emulated:'."""
    if device.counts_instructions:
        return "instruction counts in virtual time, not seconds on hardware"
    return "an emulator's times, which say that it works and not how fast"


def bits(value: int | None) -> str | None:
    """0x50005 -> '0x50005'; None stays unknown."""
    return None if value is None else f"{value:#x}"


def visible(text: str) -> str:
    """Text from a model or a device without what a terminal would obey: control characters and changes of direction become "?"."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)


def short(text: str, letters: int) -> str:
    """The beginning and the end of a long name: 'functional_1/…/Conv2D'."""
    kept = letters - 1
    return text if len(text) <= letters else f"{text[: kept // 3]}…{text[-(kept - kept // 3) :]}"


def shape(sizes: Sequence[int]) -> str:
    """(-1, 49, 10) -> '?×49×10'; 'scalar' without dimensions."""
    return "×".join("?" if size < 0 else str(size) for size in sizes) or "scalar"
