"""Writes `.keras` files that would do harm, or seem to: each kind by name, each small."""

from __future__ import annotations

import io
import json
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hostile_configurations import CONFIGURATIONS, MEMBERS, TEXTS, layer, model

Edit = Callable[[h5py.File], None]


def weights(edit: Edit | None = None, **options: Any) -> bytes:
    """A small weights file as Keras writes it, with an edit."""
    content = io.BytesIO()
    with h5py.File(content, "w", **options) as file:
        variables = file.create_group("layers/dense/vars")
        variables["0"] = np.ones((4, 3), "float32")
        variables["1"] = np.ones((3,), "float32")
        if edit:
            edit(file)
    return content.getvalue()


def archive(path: Path, config: object = None, *, raw: bytes | None = None, **members: bytes) -> Path:
    """A `.keras` file; `raw` replaces the text of its configuration, `h5` and `metadata` the other members."""
    text = json.dumps(config if config is not None else model(layer("Dense", "d", units=3))).encode() if raw is None else raw
    contents = (members.get("metadata", b'{"keras_version": "3.15.1"}'), text, members.get("h5") or weights())
    with zipfile.ZipFile(path, "w") as made:
        for name, content in zip(MEMBERS, contents, strict=True):
            made.writestr(name, content)
    return path


def _external(file: h5py.File) -> None:
    file["layers/dense/vars/2"] = h5py.ExternalLink("/etc/passwd", "/")


def _soft(file: h5py.File) -> None:
    file["layers/dense/vars/2"] = h5py.SoftLink("/layers/dense/vars/0")


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(4,), dtype="float32")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "secret", shape=(4,))
    file.create_virtual_dataset("layers/dense/vars/2", layout)


def _stored_outside(file: h5py.File) -> None:
    file.create_dataset("layers/dense/vars/2", (16,), "uint8", external=[("/etc/passwd", 0, 16)])


def _references(file: h5py.File) -> None:
    file.create_dataset("layers/dense/vars/2", data=np.array([file.ref], dtype=h5py.ref_dtype), dtype=h5py.ref_dtype)


def _texts(file: h5py.File) -> None:
    file["layers/dense/vars/2"] = np.array(["a"], dtype=h5py.string_dtype())


def _reference_attribute(file: h5py.File) -> None:
    file["layers"].attrs.create("escape", file.ref, dtype=h5py.ref_dtype)


def _huge_shape(file: h5py.File) -> None:
    file.create_dataset("layers/dense/vars/2", (1 << 40,), "float32")


def _huge_chunks(file: h5py.File) -> None:
    file.create_dataset("layers/dense/vars/2", (1 << 30,), "float32", chunks=(1 << 20,), compression="gzip")


def _second_link(file: h5py.File) -> None:
    file["layers/dense/vars/2"] = file["layers/dense/vars/0"]


def _loop(file: h5py.File) -> None:
    file["layers/dense/again"] = file["layers"]


def _named_type(file: h5py.File) -> None:
    file["layers/dense/vars/2"] = np.dtype("float32")


def _deep(file: h5py.File) -> None:
    file.create_group("/".join("d" for _ in range(80)))


HDF5: dict[str, tuple[Edit, str]] = {
    "an HDF5 external link": (_external, "vars/2 is an external link"),
    "an HDF5 soft link": (_soft, "vars/2 is a soft link"),
    "an HDF5 virtual dataset": (_virtual, "vars/2 is a virtual dataset"),
    "an HDF5 dataset stored in another file": (_stored_outside, "another file (/etc/passwd)"),
    "HDF5 references": (_references, "references or objects"),
    "HDF5 texts of any length": (_texts, "references or objects"),
    "an HDF5 attribute that refers": (_reference_attribute, "its attribute escape"),
    "an HDF5 shape larger than the file": (_huge_shape, "shape larger than what is stored"),
    "an HDF5 bomb": (_huge_chunks, "stored in pieces or packed"),
    "an HDF5 second link": (_second_link, "second link to the same object"),
    "an HDF5 loop": (_loop, "second link to the same object"),
    "an HDF5 named type": (_named_type, "neither a group nor an array"),
    "HDF5 groups nested deep": (_deep, "deep"),
}


def _added(name: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        archive(path)
        with zipfile.ZipFile(path, "a") as made, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made.writestr(name, b"x")

    return write


def _of_kind(kind: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(archive(path)) as whole:
            contents = {name: whole.read(name) for name in MEMBERS}
        with zipfile.ZipFile(path, "w") as made:
            for name, content in contents.items():
                info = zipfile.ZipInfo(name)
                info.external_attr = (kind | 0o644) << 16 if name == "model.weights.h5" else 0
                made.writestr(info, content)

    return write


def _packed(method: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", method) as made:
            for name, content in zip(
                MEMBERS, (b'{"keras_version": "3.15.1"}', json.dumps(model()).encode(), weights()), strict=True
            ):
                made.writestr(name, content)

    return write


def _bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in zip(
            MEMBERS, (b'{"keras_version": "3.15.1"}', json.dumps(model()).encode(), bytes(30 << 20)), strict=True
        ):
            made.writestr(name, content)


def _patched(offset: int, value: bytes) -> Callable[[Path], None]:
    """Write over a field of every entry of the central directory (APPNOTE.TXT of PKWARE, 4.3.12)."""

    def write(path: Path) -> None:
        content = bytearray(archive(path).read_bytes())
        at = content.find(b"PK\x01\x02")
        while at >= 0:
            content[at + offset : at + offset + len(value)] = value
            at = content.find(b"PK\x01\x02", at + 4)
        path.write_bytes(bytes(content))

    return write


def _metadata(content: bytes) -> Callable[[Path], None]:
    return lambda path: archive(path, metadata=content) and None


def _missing(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("config.json", json.dumps(model()))


def _weights_of(content: bytes) -> Callable[[Path], None]:
    return lambda path: archive(path, h5=content) and None


FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a member outside the folder": (_added("../../home/user/.bashrc"), "'../../home/user/.bashrc' does not belong"),
    "an absolute member": (_added("/etc/cron.d/evil"), "'/etc/cron.d/evil' does not belong"),
    "a member with a drive": (_added("C:\\evil.dll"), "does not belong"),
    "a member of code": (_added("custom_objects.py"), "'custom_objects.py' does not belong"),
    "a folder of assets": (_added("assets/layer/vocabulary.txt"), "does not belong"),
    "an empty folder": (_added("assets/"), "'assets/' does not belong"),
    "a second config.json": (_added("config.json"), "config.json is in it more than once"),
    "a second weights file": (_added("model.weights.h5"), "model.weights.h5 is in it more than once"),
    "a symbolic link": (_of_kind(stat.S_IFLNK), "model.weights.h5 is a link"),
    "a device": (_of_kind(stat.S_IFCHR), "link, folder or device"),
    "a pipe in the archive": (_of_kind(stat.S_IFIFO), "link, folder or device"),
    "packed by bzip2": (_packed(zipfile.ZIP_BZIP2), "packed by method 12"),
    "packed by LZMA": (_packed(zipfile.ZIP_LZMA), "packed by method 14"),
    "a zip bomb": (_bomb, "unpacks to more than 100 times"),
    "encrypted members": (_patched(8, b"\x01\x00"), "is encrypted"),
    "sizes that lie": (_patched(24, struct.pack("<I", 0xFFFFFFF0)), "is larger than"),
    "missing members": (_missing, "model.weights.h5 is missing"),
    "metadata that is no version": (_metadata(b'{"keras_version": {"a": 1}}'), "no version of Keras"),
    "metadata that is no map": (_metadata(b"[]"), "not that of a Keras model"),
    "weights that are no HDF5": (_weights_of(b"\x80\x04cos\nsystem\n." * 50), "HDF5 cannot read it"),
    "weights cut short": (_weights_of(weights()[:1500]), "HDF5 cannot read it"),
    "text instead of an archive": (lambda path: path.write_text("print('hello')") and None, "not a .keras file"),
    "an empty file": (lambda path: path.write_bytes(b"") and None, "not a .keras file"),
}


def _configured(config: object) -> Callable[[Path], None]:
    return lambda path: archive(path, config) and None


def _texted(text: bytes) -> Callable[[Path], None]:
    return lambda path: archive(path, raw=text) and None


# Every kind of hostile `.keras`: how to write it, and what the message must name.
KINDS: dict[str, tuple[Callable[[Path], None], str]] = {
    **{name: (_configured(config), words) for name, (config, words) in CONFIGURATIONS.items()},
    **{name: (_texted(text), words) for name, (text, words) in TEXTS.items()},
    **{name: (_weights_of(weights(edit)), words) for name, (edit, words) in HDF5.items()},
    **FILES,
}
