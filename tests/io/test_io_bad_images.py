"""Every bad image gets one line that says what, found, wanted, fix; and nothing else reaches stderr."""

from __future__ import annotations

import gzip
import resource
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from io_makers import message, mha, nifti, nrrd, write

from sjplan.core.errors import InputError
from sjplan.io.headers import check_image
from sjplan.io.payload import MAX_VOXELS
from sjplan.io.volumes import read_ct, read_labels

NOISE = np.random.default_rng(0).bytes(1024)
SHEAR = [[1, 0, 0, 0], [0, 1, 0.5, 0], [0, 0, 1, 0]]
NAN = float("nan")

BAD = {
    "empty.nii": (b"", "empty file"),
    "short.nii": (nifti()[:200], "truncated file: 200 bytes of header"),
    "truncated.nii": (nifti(pixels=bytes(500)), "truncated file: 852 of 1376 bytes"),
    "nothing.nii": (b"just some words " * 40, "does not start like NIfTI"),
    "2d.nii": (nifti((2, 8, 8)), "2D image (8 x 8)"),
    "one_slice.nii": (nifti((3, 8, 8, 1)), "2D image (8 x 8 x 1)"),
    "4d.nii": (nifti((4, 8, 8, 4, 2)), "4D image (8 x 8 x 4 x 2)"),
    "rgb.nii": (nifti(datatype=(128, 24), pixels=bytes(1536)), "RGB image"),
    "complex.nii": (nifti(datatype=(32, 64), pixels=bytes(4096)), "complex image"),
    "odd_type.nii": (nifti(datatype=(1, 1)), "datatype code 1"),
    "zero_spacing.nii": (nifti(pixdim=(1, 1, 0, 1)), "spacing (1, 0, 1) mm"),
    "negative_spacing.nii": (nifti(pixdim=(1, -1, 1, 1)), "spacing (-1, 1, 1) mm"),
    "nan_spacing.nii": (nifti(pixdim=(1, 1, 1, NAN)), "spacing (1, 1, nan) mm"),
    "micron.nii": (nifti(pixdim=(1, 900, 900, 900), sform=np.diag([900, 900, 900, 1])[:3]), "spacing (900, 900, 900)"),
    "shear.nii": (nifti(pixdim=(1, 1, 1, 1.118034), sform=SHEAR), "off orthonormal by 0.447"),
    "two_spacings.nii": (nifti(sform=np.diag([1, 1, 3, 1])[:3]), "in pixdim and [1.0, 1.0, 3.0] in sform"),
    "two_places.nii": (nifti(codes=(1, 1), sform=[[1, 0, 0, 5], [0, 1, 0, 0], [0, 0, 1, 0]]), "5.0 mm apart"),
    "nan_sform.nii": (nifti(sform=[[1, 0, 0, NAN], [0, 1, 0, 0], [0, 0, 1, 0]]), "NaN in its sform"),
    "no_orientation.nii": (nifti(codes=(0, 0)), "no orientation"),
    "pair.nii": (nifti(magic=b"ni1\0"), "names another file (.img)"),
    "magic.nii": (nifti(magic=b"abc\0"), "magic b'abc"),
    "offset.nii": (nifti(offset=NAN), "vox_offset nan"),
    "negative_size.nii": (nifti((3, 8, -8, 8)), "dim [3, 8, -8, 8"),
    "huge.nii": (nifti((3, 32767, 32767, 32767)), "claims 32767 x 32767 x 32767 voxels"),
    "huge.nii.gz": (gzip.compress(nifti((3, 32767, 32767, 32767))), "claims 32767 x 32767 x 32767 voxels"),
    "not_gzip.nii.gz": (nifti(), "not gzip"),
    "cut.nii.gz": (gzip.compress(nifti(pixels=NOISE))[:-400], "truncated file: "),
    "cut_early.nii.gz": (gzip.compress(nifti())[:40], "not gzip, or damaged"),
    "nan_slope.nii": (nifti()[:112] + struct.pack("<f", NAN) + nifti()[116:], "scl_slope nan"),
    "cut_trailer.nii.gz": (gzip.compress(nifti())[:-2], "truncated file: 1376 of 1376 bytes"),
    "broken.nii.gz": (gzip.compress(nifti(pixels=NOISE))[:-8] + bytes(8), "damaged"),
    "grows.nii.gz": (gzip.compress(nifti(pixels=bytes(2**22))), "more than"),
    "words.nrrd": (b"hello\n\n", "does not start like NRRD"),
    "endless.nrrd": (nrrd()[:60], "truncated file: a header without end"),
    "outside.nrrd": (nrrd("data file: /etc/hostname\n"), "names another file ('/etc/hostname')"),
    "inside.nrrd": (nrrd("DataFile: pixels.raw\n"), "names another file ('pixels.raw')"),
    "sly.nrrd": (nrrd("data  file: ../x.raw\n"), "names another file ('../x.raw')"),
    "list.nhdr": (nrrd("data file: LIST\n"), "names another file ('LIST')"),
    "twice.nrrd": (nrrd("sizes: 9 9 9\n"), "header line 'sizes: 9 9 9'"),
    "skip.nrrd": (nrrd("byte skip: -1\n"), "byte skip -1"),
    "text.nrrd": (nrrd(encoding="ascii"), "encoding 'ascii'"),
    "no_sizes.nrrd": (nrrd(sizes=""), "without 'sizes'"),
    "negative.nrrd": (nrrd(sizes="-5 4 4"), "sizes '-5 4 4'"),
    "huge.nrrd": (nrrd(sizes="60000 60000 60000"), "claims 60000 x 60000 x 60000 voxels"),
    "2d.nrrd": (nrrd(dimension="2", sizes="8 8", space="", space_directions=""), "2D image (8 x 8)"),
    "4d.nrrd": (nrrd(dimension="4", sizes="4 4 4 2", kinds="domain domain domain list"), "4D image"),
    "rgb.nrrd": (nrrd(dimension="4", sizes="3 4 4 4", kinds="RGB-color domain domain domain"), "3 values a voxel"),
    "dims.nrrd": (nrrd(dimension="4"), "dimension '4' with 3 sizes"),
    "endian.nrrd": (nrrd(endian=""), "endian 'missing'"),
    "block.nrrd": (nrrd(type="block"), "type 'block'"),
    "no_space.nrrd": (nrrd(space=""), "no orientation"),
    "scanner.nrrd": (nrrd(space="scanner-xyz"), "space 'scanner-xyz'"),
    "nan.nrrd": (nrrd(space_directions="(nan,0,0) (0,1,0) (0,0,1)"), "spacing (nan, 1, 1) mm"),
    "zero.nrrd": (nrrd(space_directions="(0,0,0) (0,1,0) (0,0,1)"), "spacing (0, 1, 1) mm"),
    "none.nrrd": (nrrd(space_directions="none (0,1,0) (0,0,1)"), "2 space directions"),
    "shear.nrrd": (nrrd(space_directions="(1,0,0) (0,1,0) (0,0.5,1)"), "columns off orthonormal by 0.447"),
    "cut.nrrd": (nrrd(pixels=bytes(100)), "truncated file: 100 of 128 bytes"),
    "cut_gzip.nrrd": (nrrd(encoding="gzip", pixels=gzip.compress(bytes(128))[:-12]), "truncated"),
    "outside.mhd": (mha(ElementDataFile="/etc/hostname"), "names another file ('/etc/hostname')"),
    "inside.mhd": (mha(ElementDataFile="pixels.raw"), "names another file ('pixels.raw')"),
    "pattern.mha": (mha(ElementDataFile="LIST"), "names another file ('LIST')"),
    "sly.mha": (mha(elementdatafile="LOCAL", ElementDataFile="/etc/hostname"), "names another file"),
    "colon.mha": (b"ObjectType = Image\nElementDataFile : /etc/hostname\n", "header line 'ElementDataFile : /etc"),
    "endless.mha": (b"ObjectType = Image\nNDims = 3\n", "without ElementDataFile"),
    "twice.mha": (mha(dimsize="5 5 5"), "dimsize twice"),
    "2d.mha": (mha(NDims="2", DimSize="8 8", ElementSpacing="1 1"), "2D image (8 x 8)"),
    "4d.mha": (mha(NDims="4", DimSize="4 4 4 2", ElementSpacing="1 1 1 1", pixels=bytes(256)), "4D image"),
    "rgb.mha": (mha(ElementNumberOfChannels="3"), "3 values a voxel"),
    "zero.mha": (mha(ElementSpacing="1 0 1"), "spacing (1, 0, 1) mm"),
    "negative.mha": (mha(ElementSpacing="1 1 -1"), "spacing (1, 1, -1) mm"),
    "nan.mha": (mha(ElementSpacing="1 nan 1"), "spacing (1, nan, 1) mm"),
    "two.mha": (mha(ElementSpacing="1 1"), "ElementSpacing with 2 numbers"),
    "no_spacing.mha": (mha(ElementSpacing=""), "without ElementSpacing"),
    "words.mha": (mha(ElementSpacing="one one one"), "'one one one'"),
    "no_type.mha": (mha(ElementType=""), "without ElementType"),
    "type.mha": (mha(ElementType="MET_OTHER"), "ElementType 'MET_OTHER'"),
    "ascii.mha": (mha(BinaryData="False"), "pixels written as text"),
    "header_size.mha": (mha(HeaderSize="-1"), "HeaderSize -1"),
    "scaled.mha": (mha(ElementToIntensityFunctionSlope="2"), "ElementToIntensityFunctionSlope 2"),
    "shear.mha": (mha(TransformMatrix="1 0 0 0 1 0 0 0.5 1"), "columns off orthonormal"),
    "flat.mha": (mha(TransformMatrix="1 0 0 0 1 0 0 0 0"), "direction"),
    "overflow.mhd": (mha(DimSize="4294967296 4294967296 4294967296"), "claims 4294967296 x 4294967296"),
    "cut.mha": (mha(DimSize="64 64 64"), "truncated file: 128 of 524288 bytes"),
    "cut_zlib.mha": (mha(CompressedData="True", pixels=zlib.compress(bytes(128))[:-3]), "truncated"),
    "packed_size.mha": (
        mha(CompressedData="True", pixels=zlib.compress(NOISE[:128]))[:-9],
        "CompressedDataSize 139 with",
    ),
    "no_packed_size.mha": (mha(CompressedData="True", CompressedDataSize=""), "CompressedDataSize missing with 128"),
    "grows.mha": (mha(CompressedData="True", pixels=zlib.compress(bytes(2**22))), "more than"),
    "picture.png": (b"\x89PNG", "without a known image ending"),
    "slice.dcm": (bytes(200), "or a DICOM folder"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_image_gets_one_line(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data, expected = BAD[name]
    path = write(tmp_path / name, data)
    for read in (read_ct, read_labels):
        with pytest.raises(InputError) as caught:
            read(path)
        text = message(caught.value)
        assert expected in text
        assert text.startswith(str(path))
        assert "; wanted " in text
        assert "; fix: " in text
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_and_things_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_ct(tmp_path / "absent.nii.gz")
    with pytest.raises(InputError, match="not a file"):
        read_ct("/dev/null")
    with pytest.raises(InputError, match="no such file"):
        read_ct("a\0b.nii")
    with pytest.raises(InputError, match="cannot be opened"):
        read_ct(tmp_path / ("x" * 400 + ".nii"))
    with pytest.raises(InputError, match="found a folder; wanted a label map file"):
        read_labels(tmp_path)


def test_the_sound_templates_behind_the_bad_files_are_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Else a bad file might be refused for something that is wrong with all of them."""
    sound = {
        "a.nii": nifti(),
        "b.nii.gz": gzip.compress(nifti()),
        "b2.nii.gz": gzip.compress(nifti()[:700]) + gzip.compress(nifti()[700:]) + bytes(16),
        "c.nrrd": nrrd("# remark\nnote:=anything\n"),
        "d.nrrd": nrrd(encoding="gzip", pixels=gzip.compress(bytes(128))),
        "e.mha": mha(),
        "f.mhd": mha(CompressedData="True", pixels=zlib.compress(bytes(128))),
        "g.nii": nifti((4, 8, 8, 8, 1)),
        "h.NII": nifti(),
        "i.mha": mha(ElementSpacing="", ElementSize="1 1 1"),
    }
    for name, data in sound.items():
        ct = read_ct(write(tmp_path / name, data))
        assert int(np.abs(ct.hu).max()) == 0, name
        assert ct.source is not None
    assert capfd.readouterr() == ("", "")


def test_an_honest_bomb_is_refused_by_its_claim_and_a_dishonest_one_early(tmp_path: Path) -> None:
    """Neither grows the process: the first is never inflated, the second is stopped 1 MiB past its claim."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    honest = nifti((3, 1500, 1500, 300), pixels=b"")
    assert MAX_VOXELS < 1500 * 1500 * 300
    packer = zlib.compressobj(9, wbits=31)
    bomb = packer.compress(nifti(pixels=b"")) + b"".join(packer.compress(bytes(2**22)) for _ in range(75))
    write(tmp_path / "honest.nii.gz", gzip.compress(honest))
    write(tmp_path / "bomb.nii.gz", bomb + packer.flush())
    with pytest.raises(InputError, match="claims 1500 x 1500 x 300 voxels"):
        check_image(tmp_path / "honest.nii.gz")
    with pytest.raises(InputError, match="found more than 1049952 bytes of pixels; wanted 1376 bytes"):
        check_image(tmp_path / "bomb.nii.gz")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes; the bomb holds 300 MB


def test_the_neighbour_of_a_compressed_nifti_is_not_read_in_its_place(tmp_path: Path) -> None:
    """The NIfTI library takes the pixels of a.nii where a.nii.gz was asked for."""
    ours = np.full(512, 7, dtype="<i2").tobytes()
    write(tmp_path / "a.nii", nifti(pixels=np.full(512, 9, dtype="<i2").tobytes()))
    path = write(tmp_path / "a.nii.gz", gzip.compress(nifti(pixels=ours)))
    stolen = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    assert set(np.unique(stolen)) == {9}, "SimpleITK has learnt it: the detour in itk.image_reader may go"
    assert set(np.unique(read_ct(path).hu)) == {7}


@pytest.mark.parametrize("bad", [NAN, float("inf"), -float("inf")])
@pytest.mark.parametrize("place", [0, 300_000, 511_999])
def test_voxels_that_are_no_numbers_are_refused(bad: float, place: int, tmp_path: Path) -> None:
    """Wherever in the stream they lie; the NIfTI library alone would turn them into 0, which is water."""
    values = np.zeros(80 * 80 * 80, dtype="<f4")
    sound = nifti((3, 80, 80, 80), datatype=(16, 32), pixels=values.tobytes() + b"\xff" * 64)
    assert read_ct(write(tmp_path / "sound.nii", sound)).hu.max() == 0
    values[place] = bad
    for kind, data in (
        ("a.nii", nifti((3, 80, 80, 80), datatype=(16, 32), pixels=values.tobytes())),
        ("b.nii.gz", gzip.compress(nifti((3, 80, 80, 80), datatype=(16, 32), pixels=values.tobytes()), 1)),
        ("c.nrrd", nrrd(type="float", sizes="80 80 80", endian="big", pixels=values.astype(">f4").tobytes())),
        ("d.mha", mha(ElementType="MET_DOUBLE", DimSize="80 80 80", pixels=values.astype("<f8").tobytes())),
    ):
        with pytest.raises(InputError, match="found NaN or infinite voxels; wanted a number in every voxel"):
            read_ct(write(tmp_path / kind, data))


def test_the_library_behind_metaimage_is_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It writes on stderr itself, past every switch of SimpleITK (found by the hostile corpus)."""
    head = b"ObjectType = Image\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n"
    path = write(tmp_path / "a.mha", mha().replace(b"ObjectType = Image\n", head))
    with pytest.raises(InputError, match="cannot be read as an image"):
        read_ct(path)
    assert capfd.readouterr() == ("", "")


def test_a_big_endian_nifti_is_read(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(5, 4, 3))
    sitk.WriteImage(image, str(tmp_path / "a.nii"))
    little = (tmp_path / "a.nii").read_bytes()
    swapped = bytearray(little)
    for start, stop, size in ((0, 4, 4), (32, 36, 4), (36, 38, 2), (40, 76, 2), (76, 148, 4), (252, 256, 2),
                              (256, 328, 4), (352, 472, 2)):  # fmt: skip
        for at in range(start, stop, size):
            swapped[at : at + size] = little[at : at + size][::-1]
    read = read_ct(write(tmp_path / "b.nii", bytes(swapped)))
    assert read.hu[1, 2, 3] == 1 + 3 * 2 + 12 * 3


@example(suffix="mha", changes=[(0.53125, 28)])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from(["nii", "nii.gz", "nrrd", "mha"]),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_damaged_headers_never_crash_or_speak(
    suffix: str, changes: list[tuple[float, int]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Bytes of the header changed at random: the file is read as its header now says, or refused in one line."""
    sound = {"nii": nifti(), "nii.gz": nifti(), "nrrd": nrrd(), "mha": mha()}[suffix]
    data = bytearray(sound)
    header = 352 if "nii" in suffix else len(sound) - 128
    for place, value in changes:
        data[min(int(place * header), header - 1)] = value
    path = write(tmp_path / f"a.{suffix}", gzip.compress(bytes(data), 1) if suffix == "nii.gz" else bytes(data))
    try:
        grid = read_ct(path).grid
    except InputError as error:
        message(error)
    else:
        assert grid.shape == check_image(path).layout.shape
    assert capfd.readouterr() == ("", "")
