"""`.keras` files damaged at random and made hostile: each mutation takes the members of one and returns others."""

from __future__ import annotations

import base64
import io
import json
import marshal
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MEMBERS = ("metadata.json", "config.json", "model.weights.h5")
MODULES = (
    "os",
    "subprocess",
    "builtins",
    "shutil",
    "posix",
    "pty",
    "importlib",
    "keras",
    "keras.utils",
    "keras.saving",
    "keras.layers",
)
MODULES += (
    "tf_keras.layers",
    "tf_keras.src.utils.generic_utils",
    "keras.src.layers.core.lambda_layer",
    "keras.src.ops.core",
    "tensorflow",
)
NAMES = ("system", "Popen", "eval", "exec", "Lambda", "TFSMLayer", "TorchModuleWrapper", "StringLookup", "get_file", "load_model")
NAMES += ("__lambda__", "function", "func_load", "import_module", "TFOpLambda", "WhileLoop", "Dense", "Functional", "rmtree")

Members = dict[str, bytes]
Mutation = Callable[[Members, random.Random, str], Members]


def payload(canary: str) -> dict[str, Any]:
    """Return a `__lambda__` whose code creates the canary."""
    code = compile(f"lambda x: (__import__('pathlib').Path({canary!r}).touch(), x)[1]", "payload", "eval").co_consts[0]
    packed = base64.b64encode(marshal.dumps(code)).decode()
    # Keras 3 reads the first three keys, Keras 2 the last.
    config = {"code": packed, "defaults": None, "closure": None, "value": [packed, None, None]}
    return {"module": "builtins", "class_name": "__lambda__", "config": config, "registered_name": None}


def dangers(canary: str) -> tuple[dict[str, Any], ...]:
    """Return objects that would create the canary, or call out, if a loader built them."""
    code = payload(canary)
    call = {"module": "os", "class_name": "system", "config": f"touch {canary}", "registered_name": "system"}
    return (
        code,
        call,
        {**call, "class_name": "function", "config": "system"},
        {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "l", "function": code}, "registered_name": None},
        {"class_name": "Lambda", "config": {"name": "l", "function": code["config"]["value"], "function_type": "lambda"}},
        {"module": "subprocess", "class_name": "Popen", "config": {"args": ["touch", canary]}, "registered_name": None},
        {"module": "pathlib", "class_name": "Path.touch", "config": {"self": canary}, "registered_name": None},
        {
            "module": "tf_keras.src.layers.core.tf_op_layer",
            "class_name": "TFOpLambda",
            "config": {"name": "w", "function": "io.write_file"},
            "registered_name": "TFOpLambda",
            "inbound_nodes": [[canary, 0, 0, {"contents": "x"}]],
        },
    )


def flip_bits(members: Members, rng: random.Random, canary: str) -> Members:
    """Flip one to eight bits of a member's content: the archive itself stays whole, so that the damage is read."""
    name = rng.choice(MEMBERS[1:])
    content = bytearray(members[name])
    for _ in range(rng.randint(1, 8)):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return {**members, name: bytes(content)}


def splice(members: Members, rng: random.Random, canary: str) -> Members:
    """Copy a part of one member over a part of another, or of itself."""
    source, name = members[rng.choice(MEMBERS)], rng.choice(MEMBERS[1:])
    size = rng.randint(1, min(512, len(source)))
    start, at = rng.randrange(len(source) - size + 1), rng.randrange(len(members[name]))
    return {**members, name: members[name][:at] + source[start : start + size] + members[name][at + size :]}


def damage_hdf5(members: Members, rng: random.Random, canary: str) -> Members:
    """Write extreme numbers over words of the weights file, mostly where its headers are."""
    content = bytearray(members[MEMBERS[2]])
    reach = len(content) if rng.random() < 0.2 else min(len(content), 4096)
    for _ in range(rng.randint(1, 6)):
        at, size = rng.randrange(reach) & ~3, rng.choice((1, 2, 4, 8))
        content[at : at + size] = rng.choice((0, 1, 0x7F, (1 << 8 * size) - 1, rng.getrandbits(8 * size))).to_bytes(9, "little")[
            :size
        ]
    return {**members, MEMBERS[2]: bytes(content)}


def link_hdf5(members: Members, rng: random.Random, canary: str) -> Members:
    """Replace or add an object of the weights file by one that leads out of it."""
    import h5py

    file_bytes = io.BytesIO(members[MEMBERS[2]])
    with h5py.File(file_bytes, "r+") as file:
        arrays: list[str] = []
        file.visititems(lambda name, item: arrays.append(name) if isinstance(item, h5py.Dataset) else None)
        name = rng.choice(arrays) if arrays else "layers/0"
        shape = file[name].shape if arrays else (4,)
        if arrays and rng.random() < 0.8:
            del file[name]
        else:
            name += "x"
        kind = rng.randrange(5)
        if kind == 0:
            file[name] = h5py.ExternalLink("/etc/passwd", "/")
        elif kind == 1:
            file[name] = h5py.SoftLink("/layers")
        elif kind == 2:
            layout = h5py.VirtualLayout(shape=shape or (1,), dtype="float32")
            layout[...] = h5py.VirtualSource("/etc/passwd", "x", shape=shape or (1,))
            file.create_virtual_dataset(name, layout)
        elif kind == 3:
            file.create_dataset(name, shape or (1,), "float32", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])
        else:
            file.create_dataset(name, (1 << rng.randrange(20, 45),), "float32")
    return {**members, MEMBERS[2]: file_bytes.getvalue()}


def rename(members: Members, rng: random.Random, canary: str) -> Members:
    """Give one to three objects of the configuration the module or class of something else."""
    config = json.loads(members["config.json"])
    objects = [node for node in _nodes(config) if "class_name" in node]
    for node in rng.sample(objects, min(len(objects), rng.randint(1, 3))):
        key, names = rng.choice((("module", MODULES), ("class_name", NAMES), ("registered_name", NAMES)))
        node[key] = rng.choice((*names, None)) if rng.random() < 0.9 else rng.choice((5, [], {}, "", "\x00"))
    return {**members, "config.json": json.dumps(config).encode()}


def insert(members: Members, rng: random.Random, canary: str) -> Members:
    """Put an object with a payload where another value stood, or among a model's layers."""
    config = json.loads(members["config.json"])
    danger = rng.choice(dangers(canary))
    if rng.random() < 0.3:
        layers = config["config"]["layers"]
        layers.insert(rng.randrange(len(layers) + 1), danger)
    else:
        node = rng.choice([node for node in _nodes(config) if node])
        node[rng.choice(list(node))] = danger
    return {**members, "config.json": json.dumps(config).encode()}


def change_value(members: Members, rng: random.Random, canary: str) -> Members:
    """Give one to three values of the configuration another type or size."""
    config = json.loads(members["config.json"])
    nodes = [node for node in _nodes(config) if node]
    for _ in range(rng.randint(1, 3)):
        node = rng.choice(nodes)
        values = (None, -1, 0, 1 << 40, 1e308, "", "relu", "x" * 5000, [], {}, True, [None, 4], canary)
        node[rng.choice(list(node))] = rng.choice(values)
    return {**members, "config.json": json.dumps(config).encode()}


MUTATIONS: tuple[Mutation, ...] = (flip_bits, splice, damage_hdf5, link_hdf5, rename, insert, change_value)


def _nodes(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _nodes(child)


def pack(path: Path, members: Members, rng: random.Random) -> None:
    """Write the archive; one of twelve is damaged as a file too, so that its own directory is wrong."""
    with zipfile.ZipFile(path, "w") as made:
        for name, content in members.items():
            made.writestr(name, content)
    if rng.random() < 1 / 12:
        content = bytearray(path.read_bytes())
        for _ in range(rng.randint(1, 4)):
            content[-rng.randint(1, 400)] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(content[: rng.randint(1, len(content))]) if rng.random() < 0.2 else bytes(content))
