"""The smallest model that says whether a runtime works on a board: y = 2 x by one fully connected layer, exact in float32."""

from __future__ import annotations

import base64
import hashlib
import zlib

from edgepipe.devices.agent.block import seeded_inputs

WIDTH = 8  # inputs and outputs, float32
SEED = 0
# A .tflite of 644 bytes: weights 2 * identity, no bias. tests/unit/devices/test_provisioning.py builds it again.
PACKED = (
    "eNrdUrsOwjAMvLYRpKKqOnRg4COQ4AM6MTEyMDCwIEBiAwn4Iwb+MZxj9yEWdhy5iZ27ODl3CmCzWi+AEjUqFPDMOEZgBMwToEmBjGtOmDEuIDYi0vEraFoSkw1+299i"
    "XiGExHQrOjVd1EtyW/qOvje56kgr4yzYiemuefjK1i4O5UgPMisocbCaadcC3b/Ql9abNzEe2jfBPAd4zVdxr71ri5P6Y/r9cD6ebtfI8R1H/xQYZ3j+4+v8XhN5Y8/J9br5"
    "B4lqF8E="
)
JOB = {  # one short block of the agent's
    "delegate": "xnnpack",
    "threads": 1,
    "affinity": None,
    "memory_limit_bytes": None,
    "seed": SEED,
    "warmup_min": 10,
    "warmup_max_s": 1.0,
    "min_invocations": 50,
    "min_s": 0.05,
}


def content() -> bytes:
    """Return the .tflite."""
    return zlib.decompress(base64.b64decode(PACKED))


def answer_sha256() -> str:
    """Return the hash of what it must answer to the inputs of `JOB`."""
    (inputs,) = seeded_inputs([((1, WIDTH), "float32")], SEED)
    return hashlib.sha256((2 * inputs).tobytes()).hexdigest()
