"""The room round a radiograph: where tube and detector stand, seen from beside the patient's left leg."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from sjplan.core.grid import Grid
from sjplan.core.volume import CtVolume
from sjplan.render.carm_scene import carm_picture
from sjplan.render.montage import montage
from sjplan.xray.types import CArm, Detector

STEEL, PLATE, BEAM = (0x9A, 0xA4, 0xAD), (0x37, 0x47, 0x4F), (0xFF, 0xD5, 0x4F)


@pytest.fixture(scope="module")
def ct():
    """A cylinder of water along the body, with a rod of bone in it."""
    grid = Grid((60, 50, 60), (6.0, 6.0, 6.0), (-177.0, -147.0, -177.0), np.eye(3))
    x, y = np.meshgrid(np.arange(-177.0, 180.0, 6.0), np.arange(-147.0, 150.0, 6.0), indexing="ij")
    flat = np.where((x / 160.0) ** 2 + (y / 110.0) ** 2 < 1.0, 0, -1000)
    flat = np.where(x**2 + y**2 < 30.0**2, 700, flat)
    return CtVolume(grid, np.repeat(flat[:, :, None], 60, axis=2).astype(np.int16))


def seen(ct, *angles):
    """Mean column and row of what is dark like the detector and yellow like the beam, in a picture of 300 pixels."""
    picture = carm_picture(ct, CArm(*angles, (0.0, 0.0, 0.0), 650.0), Detector(), "", (300, 300))
    image = np.asarray(Image.open(BytesIO(picture)).convert("RGB")).astype(int)
    assert image.shape == (300, 300, 3)
    dark = (image.max(axis=-1) < 90) & (np.arange(300)[:, None] > 50) & (np.arange(300)[:, None] < 275)
    yellow = (image[..., 0] - image[..., 2] > 60) & (image[..., 1] - image[..., 2] > 30)
    return [np.array(np.nonzero(mask))[::-1].mean(axis=1) for mask in (dark, yellow)]


def test_at_rest_the_detector_is_above(ct):
    plate, beam = seen(ct, 0, 0, 0)
    assert plate[1] < beam[1] - 20


def test_lateral_from_the_right_has_the_detector_on_the_patients_left(ct):
    """Seen from the feet, a prone patient's left is on the left."""
    (from_right, _), (from_left, _) = seen(ct, 90, 0, 0), seen(ct, -90, 0, 0)
    assert from_right[0] < 130
    assert from_left[0] > from_right[0] + 40


def test_montage_puts_pictures_in_rows():
    from sjplan.render.png import encode_png

    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    pictures = [encode_png(np.full((8, 12, 3), colour, np.uint8)) for colour in colours]
    sheet = np.asarray(Image.open(BytesIO(montage(pictures, columns=2, gap_px=2))))
    assert sheet.shape == (20, 28, 3)
    assert [tuple(sheet[4, 6]), tuple(sheet[4, 20]), tuple(sheet[14, 6]), tuple(sheet[14, 20])] == [*colours, (0, 0, 0)]
