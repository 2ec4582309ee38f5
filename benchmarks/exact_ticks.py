"""An emulated Cortex-M4 takes the same ticks for the same run: whenever the command comes, in every boot, and after resets."""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from time import sleep

from benchmarks.emulated_line import MACHINE, emulated_line
from benchmarks.result import write
from edgepipe.devices.boards.mcu_talk import McuTalk
from edgepipe.devices.transports.frame_link import FrameLink
from edgepipe.devices.transports.serial_upload import SerialUpload, Upload

COMMAND = "python -m benchmarks.exact_ticks"
MODELS = Path(__file__).resolve().parents[2] / "shared" / "data" / "models"
NAMES = ("kws_ref_model.tflite", "ad01_int8.tflite")
BOOTS, RUNS_A_BOOT, RESET_EVERY = 10, 10, 4
LONGEST_DELAY_S = 0.2
ASK_S, UPLOAD_S = 30.0, 120.0


def ticks(folder: Path, content: bytes, source: random.Random, *, runs: int) -> list[int]:
    """Boot, send the model, and run it `runs` times on one input, each time after a random wait and some after a reset."""
    found: list[int] = []
    with emulated_line(folder) as line:
        link = FrameLink(line, MACHINE)
        link.hello(deadline_s=ASK_S)
        talk = McuTalk(link, MACHINE)
        info = talk.info()
        for number in range(runs):
            if number % RESET_EVERY == 0:
                talk.reset()
                link.hello(deadline_s=ASK_S)
                SerialUpload(link, Upload(content=content), talk.limits(info, 115_200)).run(deadline_s=UPLOAD_S)
                loaded = talk.load()
            talk.write(0, random.Random(1).randbytes(loaded.inputs[0].size_bytes))
            sleep(source.uniform(0, LONGEST_DELAY_S))
            found.append(talk.invoke(deadline_s=ASK_S))
    return found


def main() -> None:
    """Measure and write; `quick` as an argument takes two boots and writes nothing."""
    boots = 2 if "quick" in sys.argv else BOOTS
    figures: dict[str, object] = {"machine": MACHINE, "boots": boots, "longest_wait_s": LONGEST_DELAY_S}
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            source = random.Random(name)
            content = (MODELS / name).read_bytes()
            counted = Counter(n for _ in range(boots) for n in ticks(Path(folder), content, source, runs=RUNS_A_BOOT))
            (usual, alike), *others = counted.most_common()
            figures[name] = {"runs": counted.total(), "alike": alike, "ticks": usual, "others": [n for n, _ in others]}
    print(figures)
    if boots == BOOTS:
        print(write("exact_ticks", COMMAND, figures))


if __name__ == "__main__":
    main()
