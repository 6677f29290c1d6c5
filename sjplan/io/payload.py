"""The bytes behind an image header: hashed once, and counted against what the header promises."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from sjplan.core.errors import InputError

MAX_FILE_BYTES: Final = 2**32
"""Largest file that is opened (bytes): twice an uncompressed whole-body CT of 512 x 512 x 4096 int16."""

MAX_VOXELS: Final = 2**29
"""Most voxels a header may claim: 512 x 512 x 2048, a whole body at 1 mm."""

MAX_DATA_BYTES: Final = 2**32
"""Most bytes of pixels a header may claim after decompression: MAX_VOXELS of eight bytes."""

SURPLUS_BYTES: Final = 2**20
"""Bytes after the last pixel that are let pass (padding, trailers); more means that header and data disagree."""

_CHUNK = 2**20
_INFLATE_STEP = 2**23

Encoding = Literal["raw", "gzip", "zlib"]


@dataclass(frozen=True, slots=True)
class Layout:
    """What an image file's own header says about where the pixels are.

    Parameters
    ----------
    format : str
        Name of the file format, for people.
    image_io : str
        SimpleITK's reader for it.
    shape : tuple of int
        Voxels along each axis, as the header claims.
    dtype : numpy dtype
        Number type and byte order of one voxel.
    encoding : {"raw", "gzip", "zlib"}
        How the pixels are stored.
    stream_offset : int
        Where the (compressed) stream starts in the file.
    pixel_offset : int
        Where the first pixel lies in the decompressed stream; 0 where only the pixels are compressed.
    """

    format: str
    image_io: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    encoding: Encoding
    stream_offset: int
    pixel_offset: int

    @property
    def voxels(self) -> int:
        """Number of voxels claimed (exact, whatever the header says)."""
        count = 1
        for n in self.shape:
            count *= n
        return count

    @property
    def pixel_bytes(self) -> int:
        """Bytes of all pixels claimed, after decompression."""
        return self.voxels * self.dtype.itemsize


def is_folder(path: str | Path) -> bool:
    """Whether `path` is a folder; False, not an error, for a path that the system cannot even look up.

    Examples
    --------
    >>> is_folder("."), is_folder("x" * 5000)
    (True, False)
    """
    try:
        return Path(path).is_dir()
    except OSError:
        return False


def check_file_size(path: str | Path) -> int:
    """Size of a regular file in bytes; raise where there is none, or it is empty or over the cap.

    Raises
    ------
    InputError
        For a missing file, something that is not a file, an empty file, or one above `MAX_FILE_BYTES`.
    """
    file = Path(path)
    try:
        there, regular = file.exists(), file.is_file()
        size = file.stat().st_size if regular else 0
    except OSError as error:
        found = f"a path that cannot be opened ({(error.strerror or 'unknown reason').lower()})"
        raise InputError(str(path), found=found, wanted="a readable file", fix="check the path") from error
    if not there:
        raise InputError(str(path), found="no such file", wanted="an existing file", fix="check the path")
    if not regular:
        raise InputError(str(path), found="something that is not a file", wanted="a file", fix="check the path")
    if size == 0:
        raise InputError(str(path), found="an empty file", wanted="an image", fix="write or copy the file again")
    if size > MAX_FILE_BYTES:
        raise InputError(str(path), found=f"{size} bytes", wanted=f"at most {MAX_FILE_BYTES} bytes", fix="crop it")
    return size


def read_text(path: str | Path, max_bytes: int) -> str:
    """Text of a small UTF-8 file.

    Raises
    ------
    InputError
        For a file that is missing, empty, longer than `max_bytes`, or not UTF-8.
    """
    size = check_file_size(path)
    if size > max_bytes:
        raise InputError(str(path), found=f"{size} bytes", wanted=f"a text file of at most {max_bytes} bytes")
    try:
        return Path(path).read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(str(path), found="bytes that are no UTF-8 text", wanted="a text file") from error


def check_claims(path: str | Path, layout: Layout) -> None:
    """Raise InputError where the header claims more voxels or bytes than the caps allow."""
    if layout.voxels > MAX_VOXELS or layout.pixel_bytes > MAX_DATA_BYTES:
        size = " x ".join(str(n) for n in layout.shape)
        raise InputError(
            str(path),
            found=f"a header that claims {size} voxels ({layout.pixel_bytes} bytes)",
            wanted=f"at most {MAX_VOXELS} voxels and {MAX_DATA_BYTES} bytes",
            fix="crop the image to the pelvis, or repair the header",
        )


def hash_and_measure(path: str | Path, layout: Layout) -> str:
    """Return the sha256 of the file's bytes, after making sure that every promised pixel is there and is a number.

    Compressed streams are inflated piece by piece and thrown away, so that memory does not grow with what
    they expand to; inflating stops as soon as more comes out than the header promises. Floats are looked at
    here because the NIfTI library turns NaN into 0, which is water.

    Raises
    ------
    InputError
        For a truncated or damaged file, one that holds much more than its header describes, and NaN voxels.
    """
    digest = hashlib.sha256()
    pixels = _Pixels(path, layout)
    stream = _Plain() if layout.encoding == "raw" else _Inflating()
    skip = layout.stream_offset
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            payload = chunk[skip:]
            skip = max(0, skip - len(chunk))
            try:
                for piece in stream.pieces(payload):
                    pixels.take(piece)
            except zlib.error as error:
                raise InputError(
                    str(path), found="a damaged compressed stream", wanted="an intact file",
                    fix="copy or write the file again",
                ) from error  # fmt: skip
    pixels.finish(stream.complete)
    return digest.hexdigest()


class _Pixels:
    """Counts the bytes of a decompressed stream, and looks at floats as they pass."""

    def __init__(self, path: str | Path, layout: Layout) -> None:
        self._path, self._layout = path, layout
        self._wanted = layout.pixel_offset + layout.pixel_bytes
        self._count = 0
        self._rest = b""

    def take(self, piece: bytes) -> None:
        start = self._count
        self._count += len(piece)
        if self._count > self._wanted + SURPLUS_BYTES:
            raise InputError(
                str(self._path), found=f"more than {self._wanted + SURPLUS_BYTES} bytes of pixels",
                wanted=f"{self._wanted} bytes, as its header says", fix="write the file again from its source",
            )  # fmt: skip
        if self._layout.dtype.kind == "f":
            first, last = self._layout.pixel_offset - start, self._wanted - start
            self._look(self._rest + piece[max(0, first) : max(0, last)])

    def _look(self, data: bytes) -> None:
        size = self._layout.dtype.itemsize
        whole = len(data) // size * size
        self._rest = data[whole:]
        if not np.isfinite(np.frombuffer(data[:whole], dtype=self._layout.dtype)).all():
            raise InputError(
                str(self._path), found="NaN or infinite voxels", wanted="a number in every voxel",
                fix="replace them by -1000 (air) in a CT, by 0 in a label map",
            )  # fmt: skip

    def finish(self, complete: bool) -> None:
        if self._count < self._wanted or not complete:
            raise InputError(
                str(self._path), found=f"a truncated file: {self._count} of {self._wanted} bytes",
                wanted="all pixels of the header", fix="copy or write the file again",
            )  # fmt: skip


class _Plain:
    """Bytes as they are."""

    complete = True

    def pieces(self, data: bytes) -> Iterator[bytes]:
        yield data


class _Inflating:
    """What gzip or zlib data expand to, in bounded pieces; several gzip members may follow each other."""

    def __init__(self) -> None:
        self.complete = False
        self._stream = _new_stream()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while True:
            if self._stream.eof:
                if not data.startswith(b"\x1f"):
                    return  # nothing left, or padding after the last member, which gzip readers skip too
                self._stream = _new_stream()
            piece = self._stream.decompress(data, _INFLATE_STEP)
            yield piece
            self.complete = self._stream.eof
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            if not data and len(piece) < _INFLATE_STEP:
                return


def _new_stream() -> zlib._Decompress:
    return zlib.decompressobj(wbits=47)  # 32 + 15: gzip or zlib, told apart by their first bytes
