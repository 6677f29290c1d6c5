"""The bytes behind an image header: hashed once, and counted against what the header promises."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

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
    voxel_bytes : int
        Bytes of one voxel.
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
    voxel_bytes: int
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
        return self.voxels * self.voxel_bytes


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
    except ValueError as error:
        raise InputError(repr(str(path)), found="a path with a null byte", wanted="a file name") from error
    if not there:
        raise InputError(str(path), found="no such file", wanted="an existing file", fix="check the path")
    if not regular:
        raise InputError(str(path), found="something that is not a file", wanted="a file", fix="check the path")
    if size == 0:
        raise InputError(str(path), found="an empty file", wanted="an image", fix="write or copy the file again")
    if size > MAX_FILE_BYTES:
        raise InputError(str(path), found=f"{size} bytes", wanted=f"at most {MAX_FILE_BYTES} bytes", fix="crop it")
    return size


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
    """Return the sha256 of the file's bytes, after making sure that every promised pixel is there.

    Compressed streams are inflated piece by piece and thrown away, so that memory does not grow with what
    they expand to; inflating stops as soon as more comes out than the header promises.

    Raises
    ------
    InputError
        For a truncated or damaged file, or one that holds much more than its header describes.
    """
    digest = hashlib.sha256()
    wanted = layout.pixel_offset + layout.pixel_bytes
    limit = wanted + SURPLUS_BYTES
    counter = _Raw() if layout.encoding == "raw" else _Inflated(limit)
    skip = layout.stream_offset
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            payload = chunk[skip:]
            skip = max(0, skip - len(chunk))
            try:
                counter.feed(payload)
            except zlib.error as error:
                raise _damaged(path) from error
            if counter.count > limit:
                raise InputError(
                    str(path), found=f"more than {limit} bytes of pixels", wanted=f"{wanted} bytes, as its header says",
                    fix="write the file again from its source",
                )  # fmt: skip
    if counter.count < wanted or not counter.complete:
        raise InputError(
            str(path), found=f"a truncated file: {counter.count} of {wanted} bytes", wanted="all pixels of the header",
            fix="copy or write the file again",
        )  # fmt: skip
    return digest.hexdigest()


def _damaged(path: str | Path) -> InputError:
    return InputError(
        str(path), found="a damaged compressed stream", wanted="an intact file", fix="copy or write the file again"
    )


class _Raw:
    """Counts bytes as they are."""

    complete = True

    def __init__(self) -> None:
        self.count = 0

    def feed(self, data: bytes) -> None:
        self.count += len(data)


class _Inflated:
    """Counts what gzip or zlib data expand to, in bounded memory; several gzip members follow each other."""

    def __init__(self, limit: int) -> None:
        self.count = 0
        self.complete = False
        self._limit = limit
        self._stream = _new_stream()

    def feed(self, data: bytes) -> None:
        while self.count <= self._limit:
            if self._stream.eof:
                if not data.startswith(b"\x1f"):
                    return  # nothing left, or padding after the last member, which gzip readers skip too
                self._stream = _new_stream()
            out = len(self._stream.decompress(data, _INFLATE_STEP))
            self.count += out
            self.complete = self._stream.eof
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            if not data and out < _INFLATE_STEP:
                return


def _new_stream() -> zlib._Decompress:
    return zlib.decompressobj(wbits=47)  # 32 + 15: gzip or zlib, told apart by their first bytes
