"""The firmware with TensorFlow Lite Micro in place of the built-in engine, linked as the library that its own Makefile builds.

Never tried with the real library: there is none where edgepipe is tested.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from edgepipe.devices import firmware_build
from edgepipe.devices.firmware_build import Firmware, FirmwarePort
from edgepipe.errors import UsageError

ENGINE, ARCHIVE = "engine_tflm", "libtensorflow-microlite.a"
FLAGS = ("-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics")
# The library is built with it, and it decides what its structs look like.
DEFINED = "-DTF_LITE_STATIC_MEMORY"
# Where its Makefile puts what its headers include (tensorflow/lite/micro/tools/make).
DOWNLOADS = Path("tensorflow/lite/micro/tools/make/downloads")
HEADERS = (Path(), DOWNLOADS / "flatbuffers" / "include", DOWNLOADS / "gemmlowp", DOWNLOADS / "ruy")


def build_with_tflm(port_name: str, tree: Path, *, folder: Path | None = None, flags: tuple[str, ...] = ()) -> Firmware:
    """Return the firmware for a port with the library below `tree`, a checkout of tensorflow/tflite-micro in which it was built.

    Raises UsageError where that has no library for the port, or several, and what `firmware_build.build` raises.
    """
    port = firmware_build.built_here(port_name)
    archive = _archive(port, tree)
    with resources.as_file(resources.files("edgepipe.devices") / "firmware") as root:
        source = root / ENGINE / "engine_tflm.cc"
        compiler = port.compiler.replace("gcc", "g++")
        target = [flag for flag in port.flags if flag.startswith("-m")]
        headers = [f"-isystem{tree / place}" for place in HEADERS]
        command = [compiler, *FLAGS, DEFINED, *target, f"-I{root}"]
        name = firmware_build.fingerprint(root, [source, archive], command)
        made = (folder or firmware_build.cache_folder()) / f"{port.name}-tflm-{name}.o"
        if not made.is_file():
            firmware_build.compile_to(made, port, [*command, *headers, "-c", str(source)])
        return firmware_build.build(port_name, folder=folder, engine=root / ENGINE, flags=flags, linked=(made, archive))


def _archive(port: FirmwarePort, tree: Path) -> Path:
    """Return the library for the port's processor, as its folder's name tells: cortex_m_generic_cortex-m4+fp_default_gcc."""
    cpu = next((flag.removeprefix("-mcpu=") for flag in port.flags if flag.startswith("-mcpu=")), "linux")
    of_cpu = re.compile(rf"(^|_){re.escape(cpu)}(\+\w+)?_")
    found = [path for path in sorted(tree.glob(f"gen/*/lib/{ARCHIVE}")) if of_cpu.search(path.parent.parent.name)]
    if len(found) == 1:
        return found[0]
    makefile = "make -f tensorflow/lite/micro/tools/make/Makefile"
    options = "" if cpu == "linux" else f" TARGET=cortex_m_generic TARGET_ARCH={cpu} OPTIMIZED_KERNEL_DIR=cmsis_nn"
    raise UsageError(
        f"{tree} has {len(found) or 'no'} {'libraries' if found else 'library'} of TFLite Micro for {cpu}",
        problems=[str(path) for path in found],
        todo="Leave one of them there." if found else f"Build it there: {makefile}{options} microlite.",
    )
