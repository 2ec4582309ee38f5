"""What a probe found on a board, and what to do about it: rules over facts, each with its source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from edgepipe.devices.runtimes import Refusal, choose_runtime, program_arch, version_of
from edgepipe.diagnosis import Severity

MIB = 1 << 20
VENV_BYTES = 400 * MIB  # ai-edge-litert with numpy takes 120 MiB unpacked; twice, while one replaces the other, and its wheels
WARM_C = 70.0
TPU_WARM_C = (
    85.0  # the first trip point of the driver for PCIe, at which its clock is halved (https://coral.ai/docs/pcie-parameters/)
)
HOT_C = 80.0  # a Raspberry Pi slows down here (its documentation, "Frequency management and thermal control")
# Raspberry Pi documentation, vcgencmd get_throttled. The same events since boot stand 16 bits higher.
THROTTLES = {
    0: ("under-voltage", "Use the official power supply and a short cable."),
    1: ("clock capped", "Cool the board or give it a better power supply."),
    2: ("throttled", "Cool the board, then measure again."),
    3: ("soft temperature limit reached", "Give it a heat sink or a fan."),
}


@dataclass(frozen=True, kw_only=True)
class CoralState:
    """Edge TPUs and their software. `pcie_node`: /dev/apex_0; `library`: where libedgetpu.so.1 is.

    `pcie_usable`, `usb_usable`: whether the user who logs in may open it.
    """

    pcie: bool
    pcie_driver: str | None
    pcie_node: str | None
    pcie_temperature_c: float | None
    usb: bool
    usb_speed_mbit: float | None
    library: str | None
    library_version: str | None
    pcie_usable: bool | None = None
    usb_usable: bool | None = None


@dataclass(frozen=True, kw_only=True)
class BoardState:
    """The facts of one probe; None where the system does not tell. `bits`: those of its programs, not of its kernel."""

    arch: str
    bits: int
    glibc: str | None
    python: str
    numpy: str | None
    model: str | None
    cores: int | None
    cpu_flags: tuple[str, ...] = field(default=())
    ram_bytes: int | None
    ram_available_bytes: int | None
    governor: str | None
    clock_mhz: float | None
    clock_max_mhz: float | None
    temperature_c: float | None
    throttle_bits: int | None
    home: str
    disk_free_bytes: int | None
    coral: CoralState
    governor_settable: bool | None = None


@dataclass(frozen=True, kw_only=True)
class BoardFinding:
    """One thing about a board; with a severity it deserves attention, and `todo` says what to do."""

    subject: str
    value: str
    severity: Severity | None = None
    todo: str = ""


def examine(state: BoardState) -> tuple[BoardFinding, ...]:
    """Return everything there is to say about a board, in a fixed order."""
    return tuple(finding for rule in RULES for finding in rule(state))


def worst(findings: Iterable[BoardFinding]) -> Severity | None:
    """Return the worst severity among them."""
    order = list(Severity)
    return min((each.severity for each in findings if each.severity), key=order.index, default=None)


def _model(state: BoardState) -> Iterator[BoardFinding]:
    cores = f", {state.cores} cores" if state.cores else ""
    yield BoardFinding(subject="board", value=f"{state.model or 'unknown'}{cores}")


def _runtime(state: BoardState) -> Iterator[BoardFinding]:
    arch = program_arch(state.arch, state.bits)
    system = f"{arch}, Python {state.python}, " + (f"glibc {state.glibc}" if state.glibc else "no glibc")
    if arch != state.arch:
        yield BoardFinding(
            subject="system",
            value=f"32-bit on a 64-bit processor ({state.arch})",
            severity=Severity.WARNING,
            todo="Install the 64-bit system: models run faster and current runtimes exist for it.",
        )
    found = choose_runtime(arch, version_of(state.python), version_of(state.glibc) if state.glibc else None)
    if isinstance(found, Refusal):
        yield BoardFinding(subject="runtime", value=f"none for {system}: {found.reason}", severity=Severity.ERROR, todo=found.todo)
        return
    yield BoardFinding(subject="runtime", value=f"{' '.join(found.requirements)} for {system}")
    if found.system_numpy and not state.numpy:
        value = "missing, and there is no wheel of it; edgepipe farm provision brings Debian's packages"
        todo = "It takes apt on this machine; without it, on the board: sudo apt-get install python3-numpy"
        yield BoardFinding(subject="numpy", value=value, severity=Severity.NOTE, todo=todo)


def _processor(state: BoardState) -> Iterator[BoardFinding]:
    flags, arch = set(state.cpu_flags), program_arch(state.arch, state.bits)
    if not flags:
        return
    if arch == "armv7l" and not flags & {"neon", "asimd"}:
        missing = "no NEON"
        yield BoardFinding(
            subject="processor", value=missing, severity=Severity.ERROR, todo="The runtimes need it: use another board."
        )
    elif arch == "x86_64" and "avx" not in flags:
        todo = "Runtimes built for newer processors end with SIGILL here; `edgepipe farm provision` tries one model and says so."
        yield BoardFinding(subject="processor", value="no AVX", severity=Severity.WARNING, todo=todo)
    elif arch == "aarch64" and "asimd" in flags:
        dot = "asimddp" in flags
        yield BoardFinding(
            subject="processor", value="8-bit dot products" if dot else "no 8-bit dot products: int8 gains less here"
        )


def _memory(state: BoardState) -> Iterator[BoardFinding]:
    if state.ram_bytes is not None and state.ram_available_bytes is not None:
        scarce = state.ram_available_bytes < 128 * MIB
        yield BoardFinding(
            subject="memory",
            value=f"{state.ram_available_bytes // MIB:,} of {state.ram_bytes // MIB:,} MiB free",
            severity=Severity.WARNING if scarce else None,
            todo="End what else runs there; a desktop takes most of it." if scarce else "",
        )


def _disk(state: BoardState) -> Iterator[BoardFinding]:
    if state.disk_free_bytes is not None:
        scarce = state.disk_free_bytes < VENV_BYTES
        yield BoardFinding(
            subject="disk",
            value=f"{state.disk_free_bytes // MIB:,} MiB free for {state.home}",
            severity=Severity.WARNING if scarce else None,
            todo=f"Free some: a runtime takes up to {VENV_BYTES // MIB} MiB while it is replaced." if scarce else "",
        )


def _clock(state: BoardState) -> Iterator[BoardFinding]:
    clock = f" at {state.clock_mhz:g} MHz" if state.clock_mhz else ""
    most = f", at most {state.clock_max_mhz:g} MHz" if state.clock_max_mhz else ""
    if state.governor is None:
        yield BoardFinding(subject="governor", value="unknown: the system does not let it be seen", severity=Severity.NOTE)
    elif state.governor == "performance":
        yield BoardFinding(subject="governor", value=f"performance{clock}{most}")
    elif state.governor_settable:
        value = f"{state.governor}{clock}{most}; performance while a model is measured"
        yield BoardFinding(subject="governor", value=value)
    else:
        todo = (
            "For steady figures: echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor; or let "
            "edgepipe do so while it measures: sudo chmod a+w /sys/devices/system/cpu/cpufreq/policy*/scaling_governor, "
            "after each restart."
        )
        yield BoardFinding(subject="governor", value=f"{state.governor}{clock}{most}", severity=Severity.WARNING, todo=todo)


def _heat(state: BoardState) -> Iterator[BoardFinding]:
    if state.temperature_c is None:
        yield BoardFinding(subject="temperature", value="unknown", severity=Severity.NOTE)
    else:
        hot, warm = state.temperature_c >= HOT_C, state.temperature_c >= WARM_C
        yield BoardFinding(
            subject="temperature",
            value=f"{state.temperature_c:.1f} °C",
            severity=Severity.ERROR if hot else Severity.WARNING if warm else None,
            todo="Cool it before measuring: it slows down at about 80 °C." if warm else "",
        )


def _throttling(state: BoardState) -> Iterator[BoardFinding]:
    bits = state.throttle_bits
    if bits is None:
        value = "unknown: no Raspberry Pi, or its firmware does not tell"
        yield BoardFinding(subject="throttling", value=value, severity=Severity.NOTE)
        return
    if not bits:
        yield BoardFinding(subject="throttling", value="none since boot")
    for bit, (name, todo) in THROTTLES.items():
        if bits >> bit & 1:
            yield BoardFinding(subject="throttling", value=f"{name}, now", severity=Severity.ERROR, todo=todo)
        elif bits >> (bit + 16) & 1:
            yield BoardFinding(subject="throttling", value=f"{name}, since boot", severity=Severity.WARNING, todo=todo)


def _coral(state: BoardState) -> Iterator[BoardFinding]:
    coral = state.coral
    if not (coral.pcie or coral.usb):
        yield _no_coral(coral)
        return
    yield from _coral_pcie(coral)
    yield from _coral_usb(coral)
    if coral.library:
        yield BoardFinding(subject="libedgetpu", value=f"{coral.library}, version {coral.library_version or 'unknown'}")
    else:
        todo = "On the board: sudo apt-get install libedgetpu1-std, from Coral's package source."
        yield BoardFinding(subject="libedgetpu", value="missing", severity=Severity.ERROR, todo=todo)


def _no_coral(coral: CoralState) -> BoardFinding:
    if not coral.library:
        return BoardFinding(subject="coral", value="none")
    todo = "USB: plug it in again, with its own cable. PCIe: its connector may be switched off (on a Pi 5: dtparam=pciex1)."
    value = f"none, but {coral.library} is installed"
    return BoardFinding(subject="coral", value=value, severity=Severity.NOTE, todo=todo)


def _coral_pcie(coral: CoralState) -> Iterator[BoardFinding]:
    if not coral.pcie:
        return
    heat = f", {coral.pcie_temperature_c:.1f} °C" if coral.pcie_temperature_c is not None else ""
    if coral.pcie_driver != "apex":
        driver = f"its driver is {coral.pcie_driver}" if coral.pcie_driver else "it has no driver"
        todo = "On the board: sudo apt-get install gasket-dkms, then sudo modprobe apex."
        yield BoardFinding(subject="coral", value=f"PCIe, but {driver}", severity=Severity.ERROR, todo=todo)
    elif not coral.pcie_node:
        todo = "Restart the board; where it stays away, look for apex in dmesg."
        yield BoardFinding(subject="coral", value="PCIe with driver apex, but no /dev/apex_0", severity=Severity.ERROR, todo=todo)
    elif coral.pcie_usable is False:
        todo = "On the board: sudo usermod -aG apex USER, then log in again."
        value = f"PCIe, but {coral.pcie_node} may not be opened by who logs in"
        yield BoardFinding(subject="coral", value=value, severity=Severity.ERROR, todo=todo)
    else:
        warm = coral.pcie_temperature_c is not None and coral.pcie_temperature_c >= TPU_WARM_C
        yield BoardFinding(
            subject="coral",
            value=f"PCIe, driver apex, {coral.pcie_node}{heat}",
            severity=Severity.WARNING if warm else None,
            todo="Cool it: it slows down at about 85 °C and stops at 100 °C." if warm else "",
        )


def _coral_usb(coral: CoralState) -> Iterator[BoardFinding]:
    if not coral.usb:
        return
    slow = coral.usb_speed_mbit is not None and coral.usb_speed_mbit < 5000
    speed = f"{coral.usb_speed_mbit:g} Mbit/s" if coral.usb_speed_mbit is not None else "speed unknown"
    if coral.usb_usable is False:
        todo = "On the board: sudo usermod -aG plugdev USER, log in again, and plug it in again; libedgetpu brings the udev rule."
        yield BoardFinding(subject="coral", value="USB, but who logs in may not open it", severity=Severity.ERROR, todo=todo)
    yield BoardFinding(
        subject="coral",
        value=f"USB, {speed}",
        severity=Severity.WARNING if slow else None,
        todo="Plug it into a blue USB 3 port with its own cable: it is a tenth as fast here." if slow else "",
    )


Rule = Callable[[BoardState], Iterator[BoardFinding]]
RULES: tuple[Rule, ...] = (_model, _runtime, _processor, _memory, _disk, _clock, _heat, _throttling, _coral)
