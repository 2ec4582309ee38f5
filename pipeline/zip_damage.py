"""What Python raises at a .zip that was cut short, damaged or made to do harm."""

from __future__ import annotations

import struct
import zipfile
import zlib

# Of zipfile: EOFError and RuntimeError at a member that ends early or wants a password, NotImplementedError at an unknown method.
ZIP_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)
