"""The synthetic twins: pictures follow their descriptors, files have the documented layouts."""

import csv
import json
import re
import shutil
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import av
import cv2
import h5py
import nibabel as nib
import numpy as np
import pytest

from workflow_scripts.demo import cineclip, ddti, guide
from workflow_scripts.demo.anatomy import gland_extent
from workflow_scripts.demo.field import Probe
from workflow_scripts.demo.make_demo_data import RECIPE, main
from workflow_scripts.demo.nodules import (
    ANECHOIC,
    CYSTIC,
    EXTRATHYROIDAL,
    HYPERECHOIC,
    HYPOECHOIC,
    ISOECHOIC,
    LOBULATED,
    MACRO,
    MIXED,
    PUNCTATE,
    RIM,
    SMOOTH,
    SPONGIFORM,
    TALLER,
    VERY_HYPOECHOIC,
    WIDER,
    Nodule,
)
from workflow_scripts.demo.phantoms import burn_in, draw_clip, draw_phantom, field_slices

SHAPE = (240, 320)
PROBES: tuple[Probe, ...] = ("linear", "convex")


def draw(nodule: Nodule, seed: int = 0, probe: Probe = "linear") -> tuple[np.ndarray, np.ndarray]:
    image, mask = draw_phantom([nodule], SHAPE, np.random.default_rng(seed), probe=probe)
    return image.astype(float), mask > 0


def ring(mask: np.ndarray, inner: int, outer: int) -> np.ndarray:
    """Pixels between two distances outside the mask: gland around a nodule."""
    near, far = (cv2.dilate(mask.astype(np.uint8), np.ones((2 * d + 1, 2 * d + 1), np.uint8)) for d in (inner, outer))
    return (far > 0) & (near == 0)


def box(mask: np.ndarray) -> tuple[int, int]:
    """Height and width of the bounding box."""
    rows, columns = np.nonzero(mask)
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


# --- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("seed", range(4))
def test_echogenicity_orders_the_means(probe: Probe, seed: int) -> None:
    means = []
    for echo in (ANECHOIC, VERY_HYPOECHOIC, HYPOECHOIC, ISOECHOIC, HYPERECHOIC):
        image, mask = draw(Nodule(echogenicity=echo), seed, probe)
        means.append(image[mask].mean() / image[ring(mask, 4, 9)].mean())
    assert all(np.diff(means) > 0.05), means
    assert means[2] < 0.85 < 0.93 < means[3] < 1.07


@pytest.mark.parametrize("seed", range(4))
def test_composition_is_seen_in_the_share_of_fluid(seed: int) -> None:
    shares = []
    for nodule in (
        Nodule(),
        Nodule(composition=MIXED),
        Nodule(composition=SPONGIFORM),
        Nodule(composition=CYSTIC, echogenicity=ANECHOIC),
    ):
        image, mask = draw(nodule, seed)
        dark = cv2.blur(image, (3, 3)) < 0.5 * image[ring(mask, 4, 9)].mean()
        shares.append(dark[mask].mean())
    solid, mixed, spongiform, cystic = shares
    assert solid < 0.02
    assert 0.15 < mixed < 0.6
    assert 0.15 < spongiform < 0.8
    assert cystic > 0.9


def test_spongiform_has_many_small_spaces_and_mixed_few_large() -> None:
    def count(composition: str) -> int:
        image, mask = draw(Nodule(radii=(0.2, 0.25, 0.2), composition=composition))
        dark = (cv2.blur(image, (3, 3)) < 50) & mask
        _, _, stats, _ = cv2.connectedComponentsWithStats(dark.astype(np.uint8))
        return int((stats[1:, cv2.CC_STAT_AREA] > 8).sum())

    assert count(SPONGIFORM) > 2 * count(MIXED) > 0


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("margin", [SMOOTH, LOBULATED, EXTRATHYROIDAL])
@pytest.mark.parametrize(("radii", "shape"), [((0.17, 0.13, 0.1), TALLER), ((0.13, 0.17, 0.1), WIDER)])
def test_shape_is_that_of_the_mask(probe: Probe, margin: str, radii: tuple[float, float, float], shape: str) -> None:
    nodule = Nodule(radii=radii, margin=margin)
    assert nodule.shape == shape
    for seed in range(5):
        height, width = box(draw(nodule, seed, probe)[1])
        assert (height > width) == (shape == TALLER)


def test_lobulated_margin_is_longer_for_its_area() -> None:
    def roughness(margin: str, seed: int) -> float:
        _, mask = draw(Nodule(margin=margin), seed)
        (outline, *_), _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        return float(1 - cv2.contourArea(outline) / cv2.contourArea(cv2.convexHull(outline)))

    assert all(roughness(LOBULATED, seed) > 2 * roughness(SMOOTH, seed) for seed in range(5))


def test_extrathyroidal_extension_leaves_the_gland() -> None:
    for margin, breaks_out in ((SMOOTH, False), (EXTRATHYROIDAL, True)):
        nodule = Nodule((0.36, 0.5), margin=margin)
        assert (nodule.centre[0] - nodule.radii[0] < gland_extent([nodule])[0]) == breaks_out


@pytest.mark.parametrize("seed", range(4))
def test_foci_are_bright(seed: int) -> None:
    def bright(*foci: str) -> tuple[float, int]:
        image, mask = draw(Nodule(radii=(0.2, 0.2, 0.2), echogenicity=HYPOECHOIC, foci=foci), seed)
        spots = ((image > 135) & mask).astype(np.uint8)
        spots = cv2.morphologyEx(spots, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
        n, _, stats, _ = cv2.connectedComponentsWithStats(spots)
        return float(stats[1:, cv2.CC_STAT_AREA].max(initial=0)), n - 1

    assert bright() == (0, 0)
    largest, n = bright(PUNCTATE)
    assert n >= 4
    assert largest < 40
    largest, n = bright(MACRO)
    assert 1 <= n <= 3
    assert largest > 40


def test_macrocalcification_casts_a_shadow_and_a_cyst_enhances() -> None:
    def behind(nodule: Nodule) -> np.ndarray:
        image, mask = draw(nodule, 3)
        last = int(np.nonzero(mask)[0].max())
        return image[last + 5 : last + 15, mask.any(axis=0)].mean(axis=0)

    plain = behind(Nodule())
    assert (plain - behind(Nodule(foci=(MACRO,)))).max() > 25
    assert (behind(Nodule(composition=CYSTIC, echogenicity=ANECHOIC)) - plain).mean() > 5


def test_rim_is_brighter_than_the_inside() -> None:
    image, mask = draw(Nodule(radii=(0.2, 0.2, 0.2), foci=(RIM,)))
    inside = cv2.erode(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert image[mask & ~inside].mean() > image[inside].mean() + 15


def test_labels_count_the_nodules_and_outside_the_field_is_black() -> None:
    pair = [Nodule((0.4, 0.3), (0.1, 0.1, 0.1)), Nodule((0.4, 0.7), (0.1, 0.1, 0.1))]
    image, mask = draw_phantom(pair, SHAPE, np.random.default_rng(0), probe="linear")
    assert image.dtype == mask.dtype == np.uint8
    assert image.shape == mask.shape == SHAPE
    assert set(np.unique(mask)) == {0, 1, 2}
    inside = np.zeros(SHAPE, bool)
    inside[field_slices(SHAPE)] = True
    assert not image[~inside].any()
    assert (image[inside] > 0).all()
    written = burn_in(image, "DER", "TIRADS 4A")
    assert (written[inside] == image[inside]).all()
    assert written[~inside].any()


def test_the_speckle_of_the_gland_is_wider_than_deep() -> None:
    image, mask = draw(Nodule(), 1)
    patch = image[ring(mask, 5, 14).any(axis=1)][:, : SHAPE[1] // 2][:, -60:]
    patch = patch - cv2.GaussianBlur(patch, (0, 0), 6)
    down = (patch[1:] * patch[:-1]).mean() / patch.var()
    across = (patch[:, 1:] * patch[:, :-1]).mean() / patch.var()
    assert 0.1 < down < across < 0.95


def test_area_over_a_clip_rises_to_its_maximum_and_falls() -> None:
    frames, masks = draw_clip(Nodule(), 13, SHAPE, np.random.default_rng(0))
    areas = masks.sum(axis=(1, 2), dtype=int)
    peak = int(areas.argmax())
    assert (areas > 0).all()
    assert 6 < peak < 12
    assert (np.diff(areas[: peak + 1]) > 0).all()
    assert (np.diff(areas[peak:]) < 0).all()
    assert set(np.unique(masks)) == {0, 1}
    neighbours = np.corrcoef(frames[5].ravel(), frames[6].ravel())[0, 1]
    assert np.corrcoef(frames[0].ravel(), frames[12].ravel())[0, 1] < neighbours < 1


def test_a_long_sweep_begins_beside_the_nodule() -> None:
    _, masks = draw_clip(Nodule(), 8, SHAPE, np.random.default_rng(0), sweep=1.2)
    assert not masks[0].any()
    assert masks[-1].any()


def test_same_seed_same_bytes() -> None:
    first, again, other = (draw(Nodule(composition=MIXED), seed)[0] for seed in (5, 5, 6))
    assert (first == again).all()
    assert (first != other).mean() > 0.5


@pytest.mark.parametrize(
    ("nodule", "points", "level"),
    [
        (Nodule(composition=SPONGIFORM, foci=(PUNCTATE,)), 0, 1),
        (Nodule(composition=MIXED), 2, 2),
        (Nodule(), 3, 3),
        (Nodule(echogenicity=HYPOECHOIC, margin=LOBULATED), 6, 4),
        (Nodule(echogenicity=HYPOECHOIC, foci=(PUNCTATE, MACRO)), 8, 5),
        (Nodule(radii=(0.2, 0.1, 0.1), echogenicity=VERY_HYPOECHOIC, margin=LOBULATED, foci=(PUNCTATE,)), 13, 5),
    ],
)
def test_points_and_level(nodule: Nodule, points: int, level: int) -> None:
    assert (sum(nodule.points.values()), nodule.level) == (points, level)


# --- the cine-clip set ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo") / "data"
    assert main(["--out", str(root)]) == 0
    return root


def test_hdf5_layout(demo: Path) -> None:
    cases = {case.annot_id: case for case in cineclip.demo_cases()}
    with h5py.File(demo / "thyroid-cineclip" / "dataset.hdf5") as file:
        assert set(file) == {"annot_id", "frame_num", "image", "mask"}
        assert [file[key].dtype.str for key in ("annot_id", "frame_num", "image", "mask")] == [
            "|S4",
            "|S3",
            "|u1",
            "|u1",
        ]
        assert file["image"].shape == file["mask"].shape == (len(file["annot_id"]), *cineclip.DEMO_SHAPE)
        assert file["image"].chunks is not None
        ids, numbers, masks = (file[key][:] for key in ("annot_id", "frame_num", "mask"))
    assert set(np.unique(masks)) == {0, 255}
    starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])
    order = [int(ids[start].decode().rstrip("_")) for start in starts]
    assert len(set(order)) == len(order)  # one run of rows for each clip
    assert order not in (sorted(order), sorted(order, reverse=True))
    for start, number in zip(starts, order, strict=True):
        n_frames = cases[f"{number}_"].n_frames
        assert 6 <= n_frames <= 14
        assert numbers[start : start + n_frames].tolist() == [str(n + 1).encode() for n in range(n_frames)]
    missing = {case.annot_id for case in cases.values() if not case.has_clip}
    assert {key.decode() for key in ids} == set(cases) - missing
    assert len(missing) == 1


def test_cineclip_csv_layout(demo: Path) -> None:
    text = (demo / "thyroid-cineclip" / "metadata.csv").read_text()
    assert text.startswith(
        "annot_id,age,sex,location,size_x,size_y,size_z,ti-rads_composition,ti-rads_echogenicity,ti-rads_shape,"
        "ti-rads_margin,ti-rads_echogenicfoci,ti-rads_level,histopath_diagnosis\n"
    )
    assert not text.endswith("\n")
    assert "\r" not in text
    rows = list(csv.DictReader(text.splitlines()))
    numbers = [int(row["annot_id"].rstrip("_")) for row in rows]
    assert numbers == sorted(numbers)
    assert sum(row["size_z"] == "" for row in rows) == 1
    assert all(0.3 <= float(row["size_x"]) <= 7.3 for row in rows)
    wrong = 0
    for row in rows:
        total = sum(int(row[name]) for name in row if re.fullmatch("ti-rads_(comp|echo|shape|margin).*", name))
        level = 1 if total == 0 else 2 if total == 2 else 3 if total == 3 else 4 if total <= 6 else 5
        assert total != 1
        wrong += int(row["ti-rads_level"]) != level
    assert wrong == 1


def test_header_with_underscores_and_the_full_canvas(tmp_path: Path) -> None:
    case = replace(cineclip.demo_cases()[0], n_frames=2)
    cineclip.write_cineclip_hdf5(tmp_path, [case], shape=cineclip.FULL_SHAPE, header="underscore")
    assert "-" not in (tmp_path / "metadata.csv").read_text().splitlines()[0]
    with h5py.File(tmp_path / "dataset.hdf5") as file:
        assert file["image"].shape == (2, 802, 1054)


def test_a_case_does_not_depend_on_its_neighbours(tmp_path: Path) -> None:
    cases = [replace(case, n_frames=2) for case in cineclip.demo_cases()[:3]]
    frames = []
    for name, some in (("all", cases), ("one", cases[1:2])):
        cineclip.write_cineclip_hdf5(tmp_path / name, some)
        with h5py.File(tmp_path / name / "dataset.hdf5") as file:
            frames.append(file["image"][file["annot_id"][:] == cases[1].annot_id.encode()])
    assert (frames[0] == frames[1]).all()


def test_scenarios_can_be_filled() -> None:
    good = [case for case in cineclip.demo_cases() if case.has_clip and case.level is None]
    assert sum(case.nodule.level <= 2 and not case.malignant for case in good) >= 3
    threshold = {4: 1.5, 5: 1.0}
    advised = [c for c in good if c.malignant and max(c.nodule.size_cm) >= threshold.get(c.nodule.level, np.inf)]
    assert {case.nodule.level for case in advised} == {4, 5}
    assert len(advised) >= 4


# --- the guide's layout -----------------------------------------------------------------------------------------------


def test_guide_layout(demo: Path) -> None:
    root = demo / "thyroid-guide"
    cases = {f"patient{case.number:03d}": case for case in guide.demo_cases()}
    with (root / "metadata.csv").open(newline="") as file:
        table = csv.DictReader(file)
        assert tuple(table.fieldnames or ()) == guide.COLUMNS
        rows = list(table)
    assert [row["patient_id"] for row in rows] == list(cases)
    for row in rows:
        case = cases[row["patient_id"]]
        frames, masks = case.draw(cineclip.DEMO_SHAPE, 0)
        with av.open(root / row["image_filename"]) as container:
            assert container.streams.video[0].average_rate == guide.FRAME_RATE
            decoded = np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)])
        assert decoded.shape == frames.shape == (case.n_frames, *cineclip.DEMO_SHAPE)
        inside = (slice(None), *field_slices(cineclip.DEMO_SHAPE))
        assert np.abs(decoded[inside].astype(float) - frames[inside]).mean() < 5
        volume = nib.Nifti1Image.from_filename(root / row["segmentation_filename"])
        assert volume.get_data_dtype() == np.uint8
        assert (volume.affine == np.eye(4)).all()
        assert (np.asarray(volume.dataobj).transpose(2, 1, 0) == masks).all()
        assert {name: row[name] for name in case.nodule.descriptors} == case.nodule.descriptors
        assert row["histopathology"] == ("malignant" if case.malignant else "benign")
        assert int(row["ti_rads_score"]) == case.nodule.level
    assert any("; " in row["echogenic_foci"] for row in rows)
    assert (root / "README.txt").is_file()


# --- DDTI -------------------------------------------------------------------------------------------------------------


def test_ddti_layout_and_outlines(tmp_path: Path) -> None:
    cases = ddti.demo_cases()
    ddti.write_ddti(tmp_path, cases)
    for case in cases:
        text = (tmp_path / f"{case.number}.xml").read_text()
        root = ET.fromstring(text)
        head = [
            "number",
            "age",
            "sex",
            "composition",
            "echogenicity",
            "margins",
            "calcifications",
            "tirads",
            "reportbacaf",
            "reporteco",
        ]
        assert [child.tag for child in root] == head + ["mark"] * len(case.views)
        assert root.findtext("tirads") in ("2", "3", "4a", "4b", "4c", "5", "")
        assert "\n" not in text
        for view, mark in zip(case.views, root.iter("mark"), strict=True):
            picture = cv2.imread(str(tmp_path / f"{case.number}_{mark.findtext('image')}.jpg"))
            assert picture is not None
            assert picture.shape == (360, 560, 3)
            if not view.outlined:
                assert mark.findtext("svg") == ""
                continue
            _, truth = view.draw(np.random.default_rng([0, case.number, view.k]))
            regions = json.loads(mark.findtext("svg") or "")
            assert len(regions) == truth.max() == len(view.nodules) + len(view.beside)
            for label, region in enumerate(regions, start=1):
                assert set(region) == {"points", "annotation", "regionType"}
                outline = np.array([[point["x"], point["y"]] for point in region["points"]])
                drawn = cv2.fillPoly(np.zeros(truth.shape, np.uint8), [outline], 1) > 0
                assert (drawn & (truth == label)).sum() / (drawn | (truth == label)).sum() > 0.95
    assert {ddti.kwak_category(case.nodule) for case in cases} == {"2", "3", "4a", "4b", "4c", "5"}


def test_ddti_demo_is_broken_as_real_ones_are(demo: Path) -> None:
    root = demo / "ddti"
    svg = ET.parse(root / "60.xml").findtext("mark/svg") or ""
    with pytest.raises(json.JSONDecodeError):
        json.loads(svg)
    assert "<svg></svg>" in (root / "64.xml").read_text()
    assert (root / "71_1.jpg").read_bytes() == (root / "77_1.jpg").read_bytes()
    assert (root / "83.xml").is_file()
    assert not list(root.glob("83_*.jpg"))
    assert (root / "33_10.jpg").is_file()


# --- the command ------------------------------------------------------------------------------------------------------


def test_making_the_demo_again_changes_nothing(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in [demo, *demo.rglob("*")]}
    assert main(["--out", str(demo)]) == 0
    assert "is up to date" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in [demo, *demo.rglob("*")]} == before


def test_a_damaged_demo_is_made_anew_and_the_same(demo: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(demo, copy)
    (copy / "ddti" / "3.xml").write_text("changed")
    (copy / "thyroid-guide" / "images" / "patient001_clip.mp4").unlink()
    (copy / "mine.txt").write_text("kept")
    assert main(["--out", str(copy)]) == 0
    assert (copy / RECIPE).read_text() == (demo / RECIPE).read_text()
    assert (copy / "mine.txt").read_text() == "kept"


def test_foreign_data_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "ddti").mkdir()
    (tmp_path / "ddti" / "1.xml").write_text("real")
    with pytest.raises(SystemExit, match="not the demo's"):
        main(["--out", str(tmp_path)])
    assert [path.name for path in tmp_path.rglob("*")] == ["ddti", "1.xml"]
