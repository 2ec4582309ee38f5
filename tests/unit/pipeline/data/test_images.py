"""A folder per class becomes float images of the model's size; every file that cannot is named."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgepipe.errors import DataError
from edgepipe.events import Event, Progress, StepFinished
from edgepipe.facts import TensorPort
from edgepipe.pipeline import data


def port(*shape: int) -> list[TensorPort]:
    return [TensorPort(name="input_1", shape=shape, dtype="float32")]


def paint(path: Path, size: tuple[int, int] = (6, 4), mode: str = "L", value: int = 51) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    pixels = np.full((size[1], size[0], channels), value, np.uint8)
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(path)
    return path


def refusal(folder: Path, inputs: list[TensorPort] | None = None) -> str:
    with pytest.raises(DataError) as caught:
        data.load(folder.name, base=folder.parent, inputs=inputs or [])
    return str(caught.value)


def test_folders_are_classes_in_alphabetical_order(tmp_path: Path) -> None:
    paint(tmp_path / "set/zebra/1.png", value=255)
    paint(tmp_path / "set/Äpfel/2.png")
    paint(tmp_path / "set/cat/1.bmp", value=0)
    (tmp_path / "set/cat/.hidden").write_text("")
    (tmp_path / "set/cat/Thumbs.db").write_text("")
    loaded = data.load("set", base=tmp_path)
    assert loaded.class_names == ("cat", "zebra", "Äpfel")
    assert loaded.labels is not None and loaded.labels.tolist() == [0, 1, 2]
    assert loaded.inputs["x"].shape == (3, 4, 6, 1)
    assert loaded.inputs["x"].dtype == np.float32
    assert loaded.inputs["x"].max(axis=(1, 2, 3)).tolist() == pytest.approx([0, 1, 0.2])


@pytest.mark.parametrize(("scale", "value"), [(None, 0.2), (255.0, 0.2), (1.0, 51.0), (127.5, 0.4)])
def test_scale_divides_the_pixels(tmp_path: Path, scale: float | None, value: float) -> None:
    paint(tmp_path / "set/a/1.png", value=51)
    assert data.load("set", base=tmp_path, scale=scale).inputs["x"].max() == pytest.approx(value)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_divides_nothing_is_refused(tmp_path: Path, scale: float) -> None:
    paint(tmp_path / "set/a/1.png")
    with pytest.raises(DataError, match="scale is"):
        data.load("set", base=tmp_path, scale=scale)


@pytest.mark.parametrize(
    ("shape", "loaded_as"),
    [
        ((-1, 8, 5, 3), (2, 8, 5, 3)),
        ((1, 8, 5, 1), (2, 8, 5, 1)),
        ((-1, 8, 5, 4), (2, 8, 5, 4)),
        ((-1, 8, 5), (2, 8, 5)),
    ],
)
def test_images_take_the_models_size_and_channels(tmp_path: Path, shape: tuple[int, ...], loaded_as: tuple[int, ...]) -> None:
    paint(tmp_path / "set/a/1.png", size=(30, 20))
    paint(tmp_path / "set/b/2.jpg", size=(10, 40), mode="RGB")
    assert data.load("set", base=tmp_path, inputs=port(*shape)).inputs["x"].shape == loaded_as


def test_sixteen_bits_a_pixel_are_scaled_not_clipped(tmp_path: Path) -> None:
    (tmp_path / "set/a").mkdir(parents=True)
    Image.fromarray(np.full((4, 4), 0x8000, np.uint16)).save(tmp_path / "set/a/1.png")
    assert data.load("set", base=tmp_path).inputs["x"].max() == pytest.approx(128 / 255)


def test_without_a_model_all_images_must_be_alike(tmp_path: Path) -> None:
    paint(tmp_path / "set/a/1.png")
    paint(tmp_path / "set/a/2.png", size=(7, 4))
    paint(tmp_path / "set/b/3.png", mode="RGB")
    message = refusal(tmp_path / "set")
    assert "a/2.png is 4 x 7 pixels, others are 4 x 6" in message
    assert "b/3.png is in colour, others are not" in message


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header claims this size, with hardly any data."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(100))),
        (b"IEND", b""),
    ]
    body = b"".join(struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def test_every_bad_file_is_named_at_once(tmp_path: Path) -> None:
    whole = paint(tmp_path / "set/a/good.png", size=(64, 64), value=7).read_bytes()
    folder = tmp_path / "set/a"
    (folder / "zero.png").write_bytes(b"")
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_text("not an image")
    (folder / "script.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (folder / "disguised.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (folder / "bomb.png").write_bytes(png_of(60_000, 60_000))
    (folder / "large.png").write_bytes(png_of(8_001, 8_000))
    (tmp_path / "set/empty").mkdir()
    (tmp_path / "set/loose.png").write_bytes(whole)
    (folder / "deeper").mkdir()
    message = refusal(tmp_path / "set", port(-1, 64, 64, 1))
    for part in (
        "a/zero.png is empty (0 bytes)",
        "a/cut.png is damaged",
        "a/text.jpg is damaged, or not an image",
        "a/script.eps is not an image file",
        "a/disguised.png is damaged, or not an image",
        "a/bomb.png has more than 64,000,000 pixels",
        "a/large.png has 8001 x 8000 pixels",
        "empty/ is empty",
        "loose.png is not in a class folder",
        "a/deeper is not an image file",
    ):
        assert part in message
    assert "good.png" not in message


def test_the_list_of_bad_files_ends_with_a_count(tmp_path: Path) -> None:
    paint(tmp_path / "set/a/good.png")
    for k in range(33):
        (tmp_path / f"set/a/{k}.png").write_bytes(b"")
    message = refusal(tmp_path / "set")
    assert message.count("is empty (0 bytes)") == 20
    assert "and 13 more like these" in message


def test_an_empty_folder_says_what_it_should_be(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    assert "holds no images" in refusal(tmp_path / "set")
    assert "one folder of images per class" in refusal(tmp_path / "set")


def test_models_that_take_no_images_are_refused(tmp_path: Path) -> None:
    paint(tmp_path / "set/a/1.png")
    assert "which no image has" in refusal(tmp_path / "set", port(-1, 10))
    assert "takes 2 channels" in refusal(tmp_path / "set", port(-1, 8, 8, 2))


def test_more_images_than_fit_are_refused_before_allocation(tmp_path: Path) -> None:
    paint(tmp_path / "set/a/1.png")
    with pytest.raises(DataError, match="need 96 bytes; at most 95 are read"):
        data.load("set", base=tmp_path, largest_bytes=95)


def test_progress_is_told(tmp_path: Path) -> None:
    paint(tmp_path / "set/a/1.png")
    events: list[Event] = []
    data.load("set", base=tmp_path, emit=events.append)
    assert any(isinstance(event, Progress) for event in events)
    assert isinstance(events[-1], StepFinished)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tiff", "webp", "bmp"])
@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1))
def test_damaged_images_never_do_worse_than_a_data_error(tmp_path_factory: pytest.TempPathFactory, suffix: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    folder = tmp_path_factory.getbasetemp() / f"damaged-{suffix}"
    path = paint(folder / f"a/1.{suffix}", size=(16, 16), mode="RGB")
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    places = random.integers(0, len(content), 4)
    content[places] = random.integers(0, 256, 4)
    path.write_bytes(content.tobytes())
    try:
        loaded = data.load(folder.name, base=folder.parent, inputs=port(-1, 16, 16, 3))
    except DataError as exc:
        assert f"a/1.{suffix}" in str(exc)
    else:
        assert loaded.inputs["x"].shape == (1, 16, 16, 3)
