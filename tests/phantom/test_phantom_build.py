import numpy as np
import pytest

from sjplan.core.errors import InputError
from sjplan.core.labels import SJPLAN_OWN, TOTALSEGMENTATOR_V2
from sjplan.phantom.build import Phantom, build_labels, build_phantom
from sjplan.phantom.parameters import PhantomParameters
from sjplan.phantom.pelvis import BONES
from sjplan.phantom.scanner import Scanner
from sjplan.phantom.tissue.body import lps_from_body

OBLIQUE = PhantomParameters(rotation_deg=(4.0, -6.0, 8.0), offset_lps_mm=(30.0, -200.0, 700.0), asymmetry_mm=2.0)


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return build_phantom(OBLIQUE, spacing_mm=(2.5, 2.0, 3.0), seed=3)


def test_labels_are_the_sign_of_the_truth_at_voxel_centres(phantom: Phantom) -> None:
    grid = phantom.labels.grid
    rng = np.random.default_rng(0)
    ijk = rng.integers(0, grid.shape, (20_000, 3))
    owner = np.full(len(ijk), "", dtype=object)
    for bone in BONES:
        owner[phantom.truth.bone_mm(bone, grid.lps_from_ijk(ijk)) < 0] = bone
    named = [phantom.labels.names.get(int(i), "") for i in phantom.labels.label[tuple(ijk.T)]]
    found = [name if name in BONES else "" for name in named]
    assert sum(name != "" for name in owner) > 500
    assert found == owner.tolist()


def test_names_and_ids_are_totalsegmentators(phantom: Phantom) -> None:
    assert set(phantom.labels.present()) >= {*BONES, "disc_L5_S1", "nerve_root_S1_left", "iliac_artery_right"}
    known = {**TOTALSEGMENTATOR_V2, **SJPLAN_OWN}
    assert all(known[i] == name for i, name in phantom.labels.names.items())


def test_volumes_share_one_grid_x_fastest_and_read_only(phantom: Phantom) -> None:
    assert phantom.ct.grid.same_space(phantom.labels.grid)
    for volume in (phantom.ct.hu, phantom.labels.label):
        assert volume.flags.f_contiguous
        assert not volume.flags.writeable
    assert phantom.ct.grid.spacing_mm.tolist() == [2.5, 2.0, 3.0]


def test_sacrum_and_hips_are_whole_inside_the_grid(phantom: Phantom) -> None:
    pelvis = np.array(phantom.labels.mask("sacrum", "hip_left", "hip_right", "vertebrae_L5"))
    pelvis[2:-2, 2:-2, 2:-2] = False
    assert not pelvis.any()


def test_l4_and_the_femurs_are_cut_by_the_ends_as_in_a_scan(phantom: Phantom) -> None:
    ends = {n: phantom.labels.label[:, :, n] for n in (0, -1)}
    ids = {name: i for i, name in phantom.labels.names.items()}
    bones = {ids[bone] for bone in BONES}
    assert set(np.unique(ends[0])) & bones == {ids["femur_left"], ids["femur_right"]}
    assert set(np.unique(ends[-1])) & bones == {ids["vertebrae_L4"]}


def test_the_usual_grid_holds_the_body_of_a_usual_scan() -> None:
    labels, pelvis = build_labels(PhantomParameters(), 4.0)
    extent = np.array(labels.grid.shape) * 4.0
    assert np.abs(extent - (386, 260, 330)).max() < 30
    assert pelvis.parameters.size == 1.0


def test_hounsfield_units_are_those_of_the_tissues(phantom: Phantom) -> None:
    hu, grid = phantom.ct.hu, phantom.ct.grid
    assert hu[:6, :6].mean() == pytest.approx(-1000, abs=2)
    pelvis = phantom.truth.pelvis

    def mean_round(sacral_mm: tuple[float, float, float], n: int = 2) -> float:
        i, j, k = np.rint(grid.ijk_from_lps(pelvis.lps_from_sacral(sacral_mm))).astype(int)
        return float(hu[i - n : i + n + 1, j - n : j + n + 1, k - n : k + n + 1].mean())

    assert mean_round((0.0, 0.0, -14.0)) == pytest.approx(280, abs=60)  # NAKAM, S1 body
    assert mean_round((36.0, 12.0, -15.0)) == pytest.approx(103, abs=60)  # NAKAM, S1 ala
    gluteal = np.rint(grid.ijk_from_lps(lps_from_body(pelvis, (72.0, 58.0, -95.0)))).astype(int)
    i, j, k = gluteal
    assert np.median(hu[i - 3 : i + 4, j - 2 : j + 3, k - 2 : k + 3]) == pytest.approx(55, abs=15)  # a gluteal muscle
    cortex = hu[np.asarray(phantom.labels.mask("hip_left"))]
    assert np.quantile(cortex, 0.95) > 700


def test_a_seed_repeats_the_phantom_on_any_number_of_threads_and_another_changes_only_the_ct() -> None:
    scanned = PhantomParameters(scanner=Scanner(slice_thickness_mm=5.0, table=True, circular_padding=True))
    seen: list[tuple[str, float]] = []
    first = build_phantom(scanned, 4.0, 5, threads=1, progress=lambda what, fraction: seen.append((what, fraction)))
    again, other = (build_phantom(scanned, 4.0, seed, threads=3) for seed in (5, 6))
    assert first.ct.hu.tobytes(order="F") == again.ct.hu.tobytes(order="F")
    assert first.labels.label.tobytes(order="F") == again.labels.label.tobytes(order="F")
    assert np.array_equal(first.labels.label, other.labels.label)
    assert not np.array_equal(first.ct.hu, other.ct.hu)
    assert np.abs(first.ct.hu.astype(int) - other.ct.hu).mean() < 30
    assert (first.ct.hu == -1024).any()
    fractions = [fraction for _, fraction in seen]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert any("hip_left" in what for what, _ in seen)


def test_labels_alone_are_those_of_the_phantom(phantom: Phantom) -> None:
    labels, pelvis = build_labels(OBLIQUE, (2.5, 2.0, 3.0))
    assert labels.grid.same_space(phantom.labels.grid)
    bones = {i: name for i, name in phantom.labels.names.items() if name in BONES}
    assert labels.names == bones
    assert np.array_equal(labels.label, np.where(np.isin(phantom.labels.label, list(bones)), phantom.labels.label, 0))
    assert pelvis.parameters.asymmetry_mm == 2.0


def test_bone_volume_does_not_depend_on_the_voxels() -> None:
    volume = []
    for spacing in (2.5, 4.0):
        labels, _ = build_labels(PhantomParameters(), spacing)
        volume.append(float(labels.mask("sacrum").sum()) * labels.grid.voxel_volume_mm3)
    assert volume[0] == pytest.approx(volume[1], rel=0.02)


@pytest.mark.parametrize("spacing", [0.0, 0.2, 5.0, float("nan"), (1.0, 2.0), (1.0, 1.0, -1.0)])
def test_spacing_out_of_range_is_refused(spacing: object) -> None:
    with pytest.raises(InputError, match=r"phantom spacing_mm: found .* wanted 0\.4 to 4 mm"):
        build_phantom(PhantomParameters(), spacing)  # type: ignore[arg-type]


def test_negative_seed_is_refused() -> None:
    with pytest.raises(InputError, match="phantom seed: found -1; wanted >= 0"):
        build_phantom(PhantomParameters(), 4.0, seed=-1)
