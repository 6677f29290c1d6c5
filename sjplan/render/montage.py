"""Pictures side by side on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from sjplan.core.errors import GeometryError
from sjplan.render.png import encode_png


def montage(pictures: Sequence[bytes], columns: int, background: str = "black", gap_px: int = 4) -> bytes:
    """PNG of PNGs in rows of so many, each cell as large as the largest picture, row by row from the top left.

    Raises
    ------
    GeometryError
        For no pictures, or less than one column.

    Examples
    --------
    >>> from sjplan.render.png import encode_png
    >>> grey = encode_png(np.full((10, 20, 3), 128, np.uint8))
    >>> Image.open(BytesIO(montage([grey] * 3, columns=2))).size
    (48, 28)
    """
    if not pictures or columns < 1:
        raise GeometryError("montage", found=f"{len(pictures)} pictures, {columns} columns", wanted="1 or more of both")
    images = [Image.open(BytesIO(picture)).convert("RGB") for picture in pictures]
    width, height = max(i.width for i in images), max(i.height for i in images)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * (width + gap_px), rows * (height + gap_px)), background)
    for n, image in enumerate(images):
        left, top = (n % columns) * (width + gap_px), (n // columns) * (height + gap_px)
        sheet.paste(image, (left + (width - image.width) // 2, top + (height - image.height) // 2))
    return encode_png(np.asarray(sheet))
