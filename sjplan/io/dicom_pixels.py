"""Pixels of DICOM files in Hounsfield units: every picture by its own slope and intercept, in float64.

Plainly stored pixels are taken from the file's bytes, run-length encoded ones are decoded by pydicom. JPEG, JPEG-LS
and JPEG 2000 go through SimpleITK's GDCM, which is shown the code stream of one picture under a header written here:
it sees no other byte of the file, and cannot apply a slope of its own (it would round to what the first slice needs).
"""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import RLELosslessDecoder
from pydicom.uid import UID, CTImageStorage

from sjplan.core.errors import InputError
from sjplan.io.codestream import CodeStreamError, picture_of
from sjplan.io.dicom_headers import BIG_ENDIAN, NATIVE, Slice, Storage
from sjplan.io.dicom_stack import refuse
from sjplan.io.hounsfield import to_hu
from sjplan.io.itk import reading, sitk

RLE: Final = "1.2.840.10008.1.2.5"

COMPRESSED: Final = {
    "1.2.840.10008.1.2.4.50": True,  # JPEG baseline
    "1.2.840.10008.1.2.4.51": True,  # JPEG extended
    "1.2.840.10008.1.2.4.57": False,  # JPEG lossless
    "1.2.840.10008.1.2.4.70": False,  # JPEG lossless, first-order prediction
    "1.2.840.10008.1.2.4.80": False,  # JPEG-LS
    "1.2.840.10008.1.2.4.81": True,  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90": False,  # JPEG 2000, lossless only
    "1.2.840.10008.1.2.4.91": True,  # JPEG 2000
}
"""Compressed transfer syntaxes that are read (DICOM PS3.5, A.4), and whether they may lose something."""

_MOST_GROWTH = 4  # what no coding of noise takes; run lengths expand by 64 at most, so that memory is bounded by both
_TISSUE_HU = (-1000.0, 3072.0)  # a padding value among these is no padding: exports that pad with 0, which is water


class Pixels(NamedTuple):
    """What came out of the files: [k, row, column], how much of it was padding, sha256 over the files' own sha256."""

    hu: NDArray[np.int16]
    padding: int
    sha256: str


def check_storage(what: str, slices: Sequence[Slice]) -> None:
    """Refuse what cannot be decoded, or would have to be guessed, before any pixel is read.

    Raises
    ------
    InputError
        Naming the transfer syntax, or the number of bits.
    """
    for s in slices:
        store = s.storage
        if store.syntax not in NATIVE and store.syntax != RLE and store.syntax not in COMPRESSED:
            name = _name_of(store.syntax)
            raise refuse(what, f"transfer syntax {name[:60]!r}", "plain, RLE, JPEG, JPEG-LS or JPEG 2000 pixels",
                         "export the series uncompressed")  # fmt: skip
        bits = (store.allocated, store.stored, store.high_bit)
        if store.allocated not in (8, 16, 32) or not 1 < store.stored <= store.allocated or bits[2] != bits[1] - 1:
            raise refuse(what, f"pixels of {bits[1]} bits in {bits[0]}, the highest of them bit {bits[2]}",
                         "8, 16 or 32 bits, filled from the lowest")  # fmt: skip


def _name_of(syntax: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of what is no UID
        return UID(syntax).name if syntax else "none"


def read_pixels(what: str, slices: Sequence[Slice]) -> Pixels:
    """Read every slice once, in the given order.

    Raises
    ------
    InputError
        For a file that is truncated, has gone, or holds pixels that cannot be decoded.
    """
    first = slices[0].storage
    hu = np.zeros((len(slices), first.rows, first.columns), dtype=np.int16)
    digest, padding = hashlib.sha256(), 0
    by_file: dict[Path, list[int]] = {}
    for k, s in enumerate(slices):
        by_file.setdefault(s.path, []).append(k)
    with tempfile.TemporaryDirectory(prefix="sjplan-") as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what pydicom warns of is an error here, or nothing
        for path, places in by_file.items():
            one = slices[places[0]]
            try:
                data = path.read_bytes()
            except OSError as error:
                raise refuse(what, f"a file that has gone ({one.called})", "every slice", "copy it again") from error
            digest.update(hashlib.sha256(data).digest())
            frame_of = _frames(what, one, data, Path(scratch))
            for k in places:
                padding += _scaled(slices[k], frame_of(slices[k].frame), hu[k])
    return Pixels(hu, padding, digest.hexdigest())


def _scaled(s: Slice, stored: NDArray[Any], out: NDArray[np.int16]) -> int:
    slope, intercept = s.rescale
    values = stored * np.float64(slope) + intercept
    mark = s.storage.padding
    padded = None
    if mark is not None and not _TISSUE_HU[0] < mark * slope + intercept < _TISSUE_HU[1]:
        padded = stored == mark
    return to_hu(values, out, padded)


def _frames(what: str, s: Slice, data: bytes, scratch: Path) -> Callable[[int], NDArray[Any]]:
    """A function that gives the stored numbers of one picture of a file."""
    store = s.storage
    if store.syntax in NATIVE:
        pixels = _native(what, s, data)
        return lambda frame: _signed(store, pixels[frame])
    codes = list(_codes(what, s, data))

    def decoded(frame: int) -> NDArray[Any]:
        try:
            if store.syntax == RLE:
                plane = _run_lengths(store, codes[frame])
            else:
                picture_of(codes[frame]).check(store.rows, store.columns, store.stored, store.signed)
                with reading(s.path):
                    plane = _through_gdcm(store, codes[frame], scratch / "picture.dcm")
            plane = np.asarray(plane).reshape(store.rows, store.columns)
        except CodeStreamError as error:
            raise refuse(what, f"{error} ({s.called})", "what its header says") from error
        except InputError as error:
            raise _undecoded(what, s) from error
        except Exception as error:  # decoders raise whatever a malformed stream leads to
            raise _undecoded(what, s) from error
        return plane if plane.dtype.itemsize > store.allocated // 8 else _signed(store, plane)

    return decoded


def _undecoded(what: str, s: Slice) -> InputError:
    return refuse(what, f"pixels that cannot be decoded ({s.called})", "intact pixels", "copy it again")


def _native(what: str, s: Slice, data: bytes) -> NDArray[Any]:
    """(frames, rows, columns) of plainly stored pixels; shares the file's bytes."""
    store = s.storage
    order = ">" if store.syntax == BIG_ENDIAN else "<"
    tag = b"\x7f\xe0\x00\x10" if store.syntax == BIG_ENDIAN else b"\xe0\x7f\x10\x00"
    start = store.offset + NATIVE[store.syntax]
    dtype = np.dtype(f"{order}u{store.allocated // 8}")
    if data[store.offset : store.offset + 4] != tag:
        raise refuse(what, f"no pixels ({s.called})", "a picture in every file", "copy it again")
    if len(data) < start + store.voxels * dtype.itemsize:
        raise refuse(what, f"a truncated file ({s.called})", f"all of its {store.rows} rows", "copy it again")
    values = np.frombuffer(data, dtype=dtype, count=store.voxels, offset=start)
    return values.reshape(store.frames, store.rows, store.columns)


def _signed(store: Storage, plane: NDArray[Any]) -> NDArray[Any]:
    """The number that the used bits mean; scanners keep other things (overlays) in the unused ones."""
    plane = plane.astype(np.int64 if store.allocated == 32 else np.int32)
    if store.stored < store.allocated or store.signed:
        plane &= (1 << store.stored) - 1
    if store.signed:
        half = 1 << (store.stored - 1)
        plane = (plane ^ half) - half
    return plane


def _codes(what: str, s: Slice, data: bytes) -> Iterator[bytes]:
    """The code stream of every picture of a file, as many as its header says."""
    start, store = s.storage.offset, s.storage
    if data[start : start + 4] != b"\xe0\x7f\x10\x00" or data[start + 8 : start + 12] != b"\xff\xff\xff\xff":
        raise refuse(what, f"no compressed pixels ({s.called})", "a picture in every file", "copy it again")
    count = 0
    try:
        for code in generate_frames(data[start + 12 :], number_of_frames=store.frames):
            count += 1
            if count > store.frames:
                break
            if len(code) > _MOST_GROWTH * store.rows * store.columns * store.allocated // 8 + 2**16:
                raise refuse(what, f"{len(code)} bytes for one picture ({s.called})", "compressed pixels")
            yield code
    except InputError:
        raise
    except Exception as error:  # pydicom raises whatever a malformed file leads to
        raise _undecoded(what, s) from error
    if count != store.frames:
        raise refuse(what, f"{count} pictures in a file ({s.called})", f"{store.frames}, as its header says",
                     "copy it again")  # fmt: skip


def _run_lengths(store: Storage, code: bytes) -> NDArray[Any]:
    options: Any = {
        "rows": store.rows, "columns": store.columns, "samples_per_pixel": 1, "number_of_frames": 1,
        "photometric_interpretation": "MONOCHROME2", "bits_allocated": store.allocated,
        "bits_stored": store.allocated, "pixel_representation": 0,
    }  # fmt: skip
    values, _ = RLELosslessDecoder.as_array(encapsulate([code]), raw=True, index=0, **options)
    return values


def _through_gdcm(store: Storage, code: bytes, file: Path) -> NDArray[Any]:
    """Decode one picture from a file of our own that holds nothing else."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(store.syntax)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = UID("1.2.3")
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = UID("1.2.3")
    dataset.Modality, dataset.SamplesPerPixel, dataset.PhotometricInterpretation = "CT", 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = store.rows, store.columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = store.allocated, store.stored, store.high_bit
    dataset.PixelRepresentation = int(store.signed)
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.RescaleSlope, dataset.RescaleIntercept = [1, 1], 1, 0
    dataset.PixelData = encapsulate([code])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(file, enforce_file_format=True)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file))
    values: NDArray[Any] = sitk.GetArrayFromImage(reader.Execute())
    return values
