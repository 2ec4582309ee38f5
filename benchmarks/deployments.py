"""Models for boards with golden samples: good ones, and the five kinds of bad ones; and what a board's folder must look like."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.synthetic import bottomless, convolution, endless
from edgepipe.devices import signing
from edgepipe.devices.deployments import Order
from edgepipe.devices.protocols import RunOptions

SAMPLES = 3
BAD = ("crashed", "hung", "out of memory", "wrong output", "slow")


def order(folder: Path, content: bytes, golden: Path, **wishes: object) -> Order:
    """Return the order to deploy a model with golden samples."""
    folder.mkdir(exist_ok=True)
    sha256 = hashlib.sha256(content).hexdigest()
    model = folder / f"{sha256[:12]}.tflite"
    model.write_bytes(content)
    made = Order(
        model=model,
        sha256=sha256,
        name=model.name,
        golden=golden,
        golden_sha256=hashlib.sha256(golden.read_bytes()).hexdigest(),
        deadline_s=30.0,
        protected=False,
    )
    return replace(made, **wishes)  # type: ignore[arg-type]


def good(folder: Path, seed: int = 0, **wishes: object) -> Order:
    """Return an order for a convolution that answers as its golden samples say."""
    content = convolution(side=4, channels=2, seed=seed)
    return order(folder, content, golden_of(folder, content), **wishes)


def signed(unsigned: Order, key: Path, version: int = 1) -> Order:
    """Return the order with a manifest signed by `key`, a file of ssh-keygen's, for boards of this machine's kind."""
    size_bytes = unsigned.model.stat().st_size
    made = signing.manifest(
        sha256=unsigned.sha256, size_bytes=size_bytes, name=unsigned.name, target="host", valid_days=1, version=version
    )
    public = key.with_suffix(".pub").read_text().split()[1]
    return replace(unsigned, signed=signing.sign(made, key), signers=(public,), target="host")


def bad(folder: Path, kind: str, seed: int = 0) -> Order:
    """Return an order for a model that is bad in one of the ways of BAD; each seed is another model."""
    quick = RunOptions(deadline_s=2.0)
    if kind == "wrong output":
        return order(
            folder, convolution(side=4, channels=2, seed=seed), golden_of(folder, convolution(side=4, channels=2, seed=seed + 1000))
        )
    if kind == "slow":
        return good(folder, seed, slowest_us=0.001)
    if kind == "out of memory":
        content, patient = convolution(side=500, channels=2, seed=seed), RunOptions(memory_limit_bytes=4 << 20, deadline_s=20.0)
        return order(folder, content, zeros(folder, (1, 500, 500, 2)), options=patient)
    content = {"crashed": bottomless, "hung": endless}[kind]()
    return order(folder, content + seed.to_bytes(4, "little"), zeros(folder, (1,)), options=quick)


def zeros(folder: Path, shape: tuple[int, ...]) -> Path:
    """Write golden samples that are never compared."""
    path = folder / f"zeros-{'x'.join(map(str, shape))}.npz"
    folder.mkdir(exist_ok=True)
    values = np.zeros((1, *shape), np.float32)
    np.savez(path, input_0=values, output_0=values)
    return path


def golden_of(folder: Path, content: bytes) -> Path:
    """Write golden samples with the answers of LiteRT itself."""
    from ai_edge_litert.interpreter import Interpreter

    folder.mkdir(exist_ok=True)
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    inputs = np.random.default_rng(0).standard_normal((SAMPLES, *taken["shape"])).astype(np.float32)
    if taken["dtype"] == np.int8:
        inputs = np.clip(64 * inputs, -128, 127).astype(np.int8)
    outputs = []
    for sample in inputs:
        interpreter.set_tensor(taken["index"], sample)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(given["index"]).copy())
    path = folder / f"golden-{hashlib.sha256(content).hexdigest()[:12]}.npz"
    np.savez(path, input_0=inputs, output_0=np.stack(outputs))
    return path


def current(home: Path) -> str | None:
    """Return the hash that `current` resolves to, None for none, and check what an application relies on."""
    link = home / "slots" / "current"
    if not link.is_symlink():
        return None
    place = link.resolve()  # once, as an application does: it may be switched between two looks
    sha256 = hashlib.sha256((place / "model.tflite").read_bytes()).hexdigest()
    assert place.name == f"sha256-{sha256}", "current names another model than it holds"
    assert json.loads((place / "manifest.json").read_text())["sha256"] == sha256
    return sha256


def journal(home: Path) -> list[dict[str, object]]:
    """Return the journal's entries; every line must be whole."""
    return [json.loads(line) for line in (home / "journal.jsonl").read_text().splitlines()]
