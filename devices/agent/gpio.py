"""One line of a board's GPIO as an output, through the kernel's character device.

Structures and numbers are those of version 2 of the interface, in the kernel's include/uapi/linux/gpio.h (since Linux 5.10).
"""

import fcntl
import os
import struct
from contextlib import contextmanager
from typing import Callable, Iterator

CHIP = "/dev/gpiochip0"
CONSUMER = b"edgepipe"
FLAG_OUTPUT = 1 << 3  # GPIO_V2_LINE_FLAG_OUTPUT
# gpio_v2_line_request: offsets[64], consumer[32], config (flags, num_attrs, padding[5], attrs[10] of 24), num_lines,
# event_buffer_size, padding[5], fd
REQUEST = struct.Struct("=64I32sQI20x240xII20xi")
VALUES = struct.Struct("=QQ")  # gpio_v2_line_values: bits, mask
GET_LINE = 0xC0000000 | REQUEST.size << 16 | 0xB407  # GPIO_V2_GET_LINE_IOCTL
SET_VALUES = 0xC0000000 | VALUES.size << 16 | 0xB40F  # GPIO_V2_LINE_SET_VALUES_IOCTL


@contextmanager
def output_line(line: int) -> Iterator[Callable[[bool], None]]:
    """Hold a line, low at first and at the end, and yield what sets it. Raises OSError where there is none, or it is in use."""
    try:
        handle = os.open(CHIP, os.O_RDWR | os.O_CLOEXEC)
        try:
            held = _request(handle, line)
        finally:
            os.close(handle)
    except OSError as exc:
        raise OSError("line %d of %s cannot be the marker: %s" % (line, CHIP, exc.strerror)) from exc

    def put(high: bool) -> None:
        fcntl.ioctl(held, SET_VALUES, bytearray(VALUES.pack(int(high), 1)))

    try:
        put(False)
        yield put
    finally:
        put(False)
        os.close(held)


def _request(chip: int, line: int) -> int:
    """Ask for one line and return the handle of it."""
    wish = bytearray(REQUEST.pack(line, *[0] * 63, CONSUMER, FLAG_OUTPUT, 0, 1, 0, 0))
    fcntl.ioctl(chip, GET_LINE, wish)
    return int(REQUEST.unpack(wish)[-1])
