"""Sound files spoilt at random, by a seed."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    EnhancedCTImageStorage,
    JPEG2000Lossless,
    RLELossless,
)
from sound_files import image_bytes, index_of, put_groups, save, series, slice_of

EXTREME: Final = (b"-1", b"0", b"65535", b"4294967296", b"-9223372036854775808", b"nan", b"inf", b"1e308", b"", b"\0",
                  b"\xff\xfe", b"../../x", b"A" * 300, b"%n%s%x")  # fmt: skip


def spoilt(data: bytes, rng: np.random.Generator, head: int) -> bytes:
    """Bytes flipped, cut off, put in or doubled, mostly in the first `head`."""
    found = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        reach = max(min(head, len(found)) if rng.random() < 0.85 else len(found), 1)
        at = int(rng.integers(0, reach))
        match int(rng.integers(0, 6)):
            case 0 | 1 | 2:
                found[at : at + 1] = bytes([int(rng.integers(0, 256))])
            case 3:
                found[at : at + 1] = bytes([found[at] ^ (1 << int(rng.integers(0, 8)))]) if at < len(found) else b""
            case 4:
                word = EXTREME[int(rng.integers(0, len(EXTREME)))]
                found[at : at + len(word)] = word
            case _:
                size = int(rng.integers(1, 40))
                found[at:at] = found[at : at + size] if rng.random() < 0.5 else b""
    if rng.random() < 0.2:
        del found[int(rng.integers(0, len(found) + 1)) :]
    return bytes(found)


def spoilt_text(data: bytes, rng: np.random.Generator) -> bytes:
    """A text header with words replaced, lines left out, doubled or swapped; then perhaps bytes as well."""
    end = data.find(b"\n\n") if data.startswith(b"NRRD") else data.find(b"LOCAL") + 5
    lines, rest = data[:end].split(b"\n"), data[end:]
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, len(lines)))
        words = lines[at].split(b" ")
        match int(rng.integers(0, 5)):
            case 0 | 1:
                words[int(rng.integers(0, len(words)))] = EXTREME[int(rng.integers(0, len(EXTREME)))]
                lines[at] = b" ".join(words)
            case 2:
                lines.insert(at, lines[int(rng.integers(0, len(lines)))])
            case 3 if len(lines) > 1:
                del lines[at]
            case _:
                other = int(rng.integers(0, len(lines)))
                lines[at], lines[other] = lines[other], lines[at]
    joined = b"\n".join(lines) + rest
    return spoilt(joined, rng, end) if rng.random() < 0.3 else joined


def _image(suffix: str, head: int) -> Callable[[Path, np.random.Generator], Path]:
    def spoil(folder: Path, rng: np.random.Generator) -> Path:
        data = image_bytes(suffix.replace(".gz", ""))
        text = suffix in (".nrrd", ".mha") and rng.random() < 0.7
        changed = spoilt_text(data, rng) if text else spoilt(data, rng, head)
        path = folder / f"a{suffix}"
        path.write_bytes(gzip.compress(changed, 1, mtime=0) if suffix == ".nii.gz" and rng.random() < 0.8 else changed)
        return path

    return spoil


def _bytes_of_a_slice(folder: Path, rng: np.random.Generator) -> Path:
    """One file of a series with its header's bytes changed."""
    path = series(folder) / f"{int(rng.integers(0, 5))}.dcm"
    path.write_bytes(spoilt(path.read_bytes(), rng, 900))
    return folder


def _tags_of_a_slice(folder: Path, rng: np.random.Generator) -> Path:
    """Tags of one slice, or of all, given values of other tags, none, or extreme ones."""
    tags = [element.tag for element in slice_of(0) if element.keyword != "PixelData"]
    chosen = [tags[int(n)] for n in rng.integers(0, len(tags), int(rng.integers(1, 4)))]
    every = rng.random() < 0.4
    ways = [int(rng.integers(0, 4)) for _ in chosen]
    words = [EXTREME[int(rng.integers(0, 9))].decode() for _ in chosen]
    others = [tags[int(rng.integers(0, len(tags)))] for _ in chosen]
    for k in range(5):
        dataset = slice_of(k)
        if every or k == 2:
            for tag, way, word, other in zip(chosen, ways, words, others, strict=True):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    _respoil(dataset, tag, way, word, other)
        try:
            save(dataset, folder / f"{k}.dcm")
        except Exception:  # what cannot be written at all stays as it was
            save(slice_of(k), folder / f"{k}.dcm")
    return folder


def _respoil(dataset: Dataset, tag: Any, way: int, word: str, other: Any) -> None:
    if tag not in dataset:
        return
    if way == 0:
        del dataset[tag]
    elif way == 1:
        dataset.add_new(tag, "LO", word)
    elif way == 2 and other in dataset:
        dataset.add_new(tag, dataset[other].VR, dataset[other].value)
    else:
        value = dataset[tag].value
        number = isinstance(value, int) and not isinstance(value, bool)
        dataset.add_new(tag, dataset[tag].VR, (65535 if dataset[tag].VR == "US" else -1) if number else value)


def _coded(syntax: str) -> Callable[[Path, np.random.Generator], Path]:
    """Compressed slices with bytes changed in one of them, code stream and all."""

    def spoil(folder: Path, rng: np.random.Generator) -> Path:
        names = {RLELossless: "MR_small_RLE.dcm", JPEG2000Lossless: "MR_small_jp2klossless.dcm",
                 "1.2.840.10008.1.2.4.80": "MR_small_jpeg_ls_lossless.dcm"}  # fmt: skip
        source = Path(pydicom.__file__).parent / "data" / "test_files" / names[syntax]
        for k in range(3):
            dataset = pydicom.dcmread(source)
            dataset.Modality, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "CT", "1.2.3", f"1.2.3.{k}"
            dataset.RescaleSlope, dataset.RescaleIntercept, dataset.SliceThickness = 1, -1000, 1
            dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, k], [1, 0, 0, 0, 1, 0]
            path = save(dataset, folder / f"{k}.dcm")
            if k == 1:
                data = path.read_bytes()
                start = data.rindex(b"\xe0\x7f\x10\x00")
                path.write_bytes(data[:start] + spoilt(data[start:], rng, 300))
        return folder

    return spoil


def _enhanced(folder: Path, rng: np.random.Generator) -> Path:
    """An enhanced CT with bytes of its functional groups changed."""
    dataset = slice_of(0, SOPClassUID=EnhancedCTImageStorage, NumberOfFrames=4)
    dataset.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    put_groups(dataset, (0.9, 0.8), -1024, [[0, 0, 2.0 * k] for k in range(4)])
    dataset.PixelData = np.random.default_rng(0).integers(24, 2000, 480).astype("<i2").tobytes()
    path = save(dataset, folder / "all.dcm")
    path.write_bytes(spoilt(path.read_bytes(), rng, 1600))
    return folder


def _index(folder: Path, rng: np.random.Generator) -> Path:
    """A DICOMDIR with bytes changed."""
    index_of(folder, ["1.DCM"])
    path = folder / "DICOMDIR"
    path.write_bytes(spoilt(path.read_bytes(), rng, 2000))
    return folder


SPOILERS: Final[dict[str, Callable[[Path, np.random.Generator], Path]]] = {
    "nii": _image(".nii", 352),
    "nii.gz": _image(".nii.gz", 352),
    "nrrd": _image(".nrrd", 400),
    "mha": _image(".mha", 400),
    "slice": _bytes_of_a_slice,
    "tags": _tags_of_a_slice,
    "rle": _coded(RLELossless),
    "jpeg 2000": _coded(JPEG2000Lossless),
    "jpeg-ls": _coded("1.2.840.10008.1.2.4.80"),
    "enhanced": _enhanced,
    "dicomdir": _index,
}
