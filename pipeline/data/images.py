"""Folders of images: one folder per class, in alphabetical order of their names.

Images are turned into the model's channels and resized (bilinear) to its height and width where it fixes both; otherwise all must
have the same size. A rotation noted in EXIF is not applied, since Keras's own loader does not apply it either.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.Image import DecompressionBombError, DecompressionBombWarning, Resampling
from PIL.Image import Image as Picture

from edgepipe.errors import DataError
from edgepipe.events import step
from edgepipe.pipeline.data.dataset import Dataset
from edgepipe.pipeline.data.labels import encode
from edgepipe.pipeline.data.request import Request, first_problems

FORM = "a folder with one folder of images per class"
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
LARGEST_PIXELS = 64_000_000
_LITTER = ("thumbs.db", "desktop.ini")  # what file browsers leave behind; hidden files are skipped too
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
# What Pillow raises on damaged files; it has no base class for it.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OverflowError,
    RuntimeError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, kw_only=True)
class _Format:
    """What every image becomes; None is not settled yet. The first image settles what the model leaves open, for all."""

    height: int | None = None
    width: int | None = None
    channels: int | None = None
    resize: bool = False  # the model says the size
    recolour: bool = False  # the model says the channels


class _Unreadable(Exception):
    """An image that cannot be used, and why."""


def matches(request: Request) -> bool:
    """Whether a folder stands there."""
    return request.path.is_dir()


def read(request: Request) -> Dataset:
    """Return float32 images (samples, height, width, channels), 0..255 divided by `scale` (255 where None).

    Raises DataError with every file that cannot be used.
    """
    files, problems = _files(request.path)
    if not files:
        raise DataError(f"{request.path} holds no images", problems=problems, todo=f"It must be {FORM}.")
    labels, names = encode([path.parent.name for path in files], request.class_names, source=request.spec)
    pixels, unreadable = _read_all(files, request)
    problems += unreadable
    if problems or pixels is None:
        raise DataError(f"{request.path} cannot be used", problems=first_problems(problems))
    pixels /= divisor(request)
    if request.sample_shape is not None and len(request.sample_shape) == 2:
        pixels = pixels[..., 0]
    return Dataset(inputs={"x": pixels}, labels=labels, source=request.spec, class_names=names)


def divisor(request: Request) -> float:
    """Return what the pixels, 0..255, are divided by."""
    return 255.0 if request.scale is None else request.scale


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name.lower() not in _LITTER)


def _files(folder: Path) -> tuple[list[Path], list[str]]:
    files: list[Path] = []
    problems: list[str] = []
    for entry in _visible(folder):
        if not entry.is_dir():
            problems.append(f"{entry.name} is not in a class folder")
            continue
        images = _visible(entry)
        if not images:
            problems.append(f"{entry.name}/ is empty")
        for path in images:
            if path.is_file() and path.suffix.lower() in SUFFIXES:
                files.append(path)
            else:
                problems.append(f"{entry.name}/{path.name} is not an image file")
    return files, problems


def _read_all(
    files: Sequence[Path], request: Request
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None, list[str]]:
    wanted = _wanted(request)
    pixels = None
    problems: list[str] = []
    with step(request.emit, f"read {request.spec}", len(files), "images") as advance:
        for index, path in enumerate(files):
            try:
                image = _pixels(path, wanted)
            except _Unreadable as exc:
                problems.append(f"{path.parent.name}/{path.name} {exc}")
                continue
            if pixels is None:
                shape = (len(files), *image.shape)
                _refuse_too_large(shape, request)
                pixels = np.zeros(shape, dtype=np.float32)
                wanted = replace(wanted, height=shape[1], width=shape[2], channels=shape[3])
            pixels[index] = image
            if index % 100 == 0:
                advance(index)
    return pixels, problems


def _wanted(request: Request) -> _Format:
    shape = request.sample_shape
    if shape is None:
        return _Format()
    if len(shape) not in (2, 3):
        raise DataError(f"the model takes {shape} a sample, which no image has", todo="Give the data as .npz.")
    height, width, channels = (size if size > 0 else None for size in (*shape, 1)[:3])
    if channels is not None and channels not in _MODES:
        raise DataError(f"the model takes {channels} channels; images have 1, 3 or 4", todo="Give the data as .npz.")
    resize = height is not None and width is not None
    return _Format(height=height, width=width, channels=channels, resize=resize, recolour=channels is not None)


def _refuse_too_large(shape: tuple[int, ...], request: Request) -> None:
    size_bytes = 4 * int(np.prod(shape, dtype=object))
    if size_bytes > request.largest_bytes:
        raise DataError(
            f"{request.path}: {shape[0]:,} images need {size_bytes:,} bytes; at most {request.largest_bytes:,} are read",
            todo="Use fewer images, or smaller ones.",
        )


def _pixels(path: Path, wanted: _Format) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return uint8 (height, width, channels). Raises _Unreadable."""
    if path.stat().st_size == 0:
        raise _Unreadable("is empty (0 bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                return _convert(image, wanted)
    except (DecompressionBombError, DecompressionBombWarning, MemoryError) as exc:
        raise _Unreadable(f"has more than {LARGEST_PIXELS:,} pixels") from exc
    except UnidentifiedImageError as exc:
        raise _Unreadable("is damaged, or not an image") from exc
    except _DAMAGE as exc:
        raise _Unreadable(f"is damaged ({str(exc).splitlines()[0] if str(exc) else type(exc).__name__})") from exc


def _convert(image: Picture, wanted: _Format) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    if image.width * image.height > LARGEST_PIXELS:
        raise _Unreadable(f"has {image.width} x {image.height} pixels; at most {LARGEST_PIXELS:,} are read")
    sizes = (wanted.height or image.height, wanted.width or image.width)
    if not wanted.resize and sizes != (image.height, image.width):
        raise _Unreadable(f"is {image.height} x {image.width} pixels, others are {sizes[0]} x {sizes[1]}")
    grey = image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I;16")
    channels = wanted.channels or (1 if grey else 3)
    if not wanted.recolour and grey != (channels == 1):
        raise _Unreadable(f"is {'grey' if grey else 'in colour'}, others are not")
    if image.mode.startswith("I;16"):  # Pillow would clip at 255 instead of scaling
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise _Unreadable("has 32 bits a pixel; save it with 8")
    image = image.convert(_MODES[channels])
    if image.size != (sizes[1], sizes[0]):
        image = image.resize((sizes[1], sizes[0]), Resampling.BILINEAR)
    return np.asarray(image, dtype=np.uint8).reshape(*sizes, channels)
