"""Pictures as PNG bytes: encoding, making them smaller, saving them whole or not at all.

Pillow comes with PyVista (through matplotlib), so it costs no dependency of its own.
"""

from __future__ import annotations

import os
import tempfile
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sjplan.core.errors import InputError


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """PNG bytes of an image, (h, w) grey or (h, w, 3) colour, uint8.

    Examples
    --------
    >>> decode_png(encode_png(np.zeros((2, 3), dtype=np.uint8))).shape
    (2, 3, 3)
    """
    buffer = BytesIO()
    # Pillow's "optimize" takes five times as long and saves 2 % of a radiograph.
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()


def decode_png(picture: bytes) -> NDArray[np.uint8]:
    """Pixels of a PNG or JPEG, (h, w, 3) uint8."""
    with Image.open(BytesIO(picture)) as image:
        return np.asarray(image.convert("RGB"))


def lighter(picture: bytes, width_px: int = 1300, quality: int = 88) -> bytes:
    """The picture for a report: at most `width_px` wide, as PNG or JPEG, whichever is smaller.

    Noise of a CT makes a PNG three times as large as a JPEG that looks the same in print; a drawing on white is
    smaller as PNG, and sharper.
    """
    image = _at_most(Image.open(BytesIO(picture)).convert("RGB"), width_px)
    jpeg, png = BytesIO(), BytesIO()
    image.save(jpeg, format="JPEG", quality=quality)
    image.save(png, format="PNG", compress_level=6)
    return min(jpeg.getvalue(), png.getvalue(), key=len)


def compact_png(picture: bytes, width_px: int, colours: int = 256) -> bytes:
    """The picture as a PNG with a palette, at most `width_px` wide: a fraction of the bytes, for documents.

    The palette covers as wide a range as possible, so that rare colours (a small foramen) are not merged away, and
    is then moved to where most pixels are, so that grey stays grey.
    """
    image = _at_most(Image.open(BytesIO(picture)).convert("RGB"), width_px)
    buffer = BytesIO()
    few = image.quantize(colours, method=Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
    few.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _at_most(image: Image.Image, width_px: int) -> Image.Image:
    if image.width <= width_px:
        return image
    height = max(1, round(image.height * width_px / image.width))
    return image.resize((width_px, height), Image.Resampling.LANCZOS)


def save_picture(picture: bytes, path: str | Path) -> Path:
    """Write picture bytes to `path`; a failure leaves no half-written file.

    Raises
    ------
    InputError
        If the folder is missing or cannot be written to.
    """
    target = Path(path)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(picture)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise InputError(
            f"picture {target}",
            found=error.strerror or str(error),
            wanted="a folder that exists and can be written to",
            fix="create the folder, or choose another --out",
        ) from None
    return target
