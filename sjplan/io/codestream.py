"""What the code stream of one JPEG, JPEG-LS or JPEG 2000 picture says of itself, before a decoder believes it."""

from __future__ import annotations

import struct
from dataclasses import dataclass


class CodeStreamError(Exception):
    """A code stream that is none, or is of another picture than the header promises."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Rows, columns, components and bits of a code stream; `signed` is None where the format does not say."""

    rows: int
    columns: int
    components: int
    bits: int
    signed: bool | None

    def check(self, rows: int, columns: int, bits: int, signed: bool) -> None:
        """Raise CodeStreamError unless this is the picture that a header promises.

        Examples
        --------
        >>> Picture(4, 5, 1, 12, None).check(4, 5, 12, True)
        >>> Picture(65535, 65535, 1, 12, None).check(4, 5, 12, True)
        Traceback (most recent call last):
            ...
        sjplan.io.codestream.CodeStreamError: a compressed picture of 65535 x 65535 x 1 under a header of 5 x 4 x 1
        """
        if (self.rows, self.columns, self.components) != (rows, columns, 1):
            own = f"{self.columns} x {self.rows} x {self.components}"
            raise CodeStreamError(f"a compressed picture of {own} under a header of {columns} x {rows} x 1")
        if self.signed is not None and self.signed != signed:
            words = {True: "signed", False: "unsigned"}
            raise CodeStreamError(f"{words[self.signed]} compressed numbers under a header of {words[signed]} ones")


def picture_of(code: bytes) -> Picture:
    """Read the size out of a code stream.

    JPEG and JPEG-LS tell it in their start-of-frame segment (ITU-T T.81 B.2.2, T.87 C.2.2), JPEG 2000 in its SIZ
    segment (ITU-T T.800 A.5.1), which may lie in a JP2 file.

    Raises
    ------
    CodeStreamError
        Where there is no such segment.
    """
    if code[:2] == b"\xff\xd8":
        return _jpeg(code)
    start = code.find(b"\xff\x4f\xff\x51", 0, 4096)
    if start < 0:
        raise CodeStreamError("bytes that are no compressed picture")
    try:
        x1, y1, x0, y0, *tiles, components = struct.unpack_from(">8IH", code, start + 8)
        precision = code[start + 42]
    except (struct.error, IndexError) as error:
        raise CodeStreamError("a compressed picture cut short") from error
    del tiles
    return Picture(y1 - y0, x1 - x0, components, (precision & 0x7F) + 1, bool(precision & 0x80))


def _jpeg(code: bytes) -> Picture:
    at = 2
    try:
        while True:
            while code[at] != 0xFF or code[at + 1] in (0x00, 0xFF):
                at += 1
            marker = code[at + 1]
            if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
                bits, rows, columns, components = struct.unpack_from(">BHHB", code, at + 4)
                return Picture(rows, columns, components, bits, None)
            at += 2 + (0 if 0xD0 <= marker <= 0xD9 or marker == 0x01 else struct.unpack_from(">H", code, at + 2)[0])
    except (struct.error, IndexError) as error:
        raise CodeStreamError("a compressed picture without its size") from error
