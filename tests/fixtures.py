"""Small data sets in their true layout, made here: plain pictures, honest tables, and room for defects."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import av
import cv2
import h5py
import nibabel
import numpy as np

from workflow_scripts.ingest.index_cases import index_cases

STACK_HEADER = (
    "annot_id,age,sex,location,size_x,size_y,size_z,ti-rads_composition,ti-rads_echogenicity,ti-rads_shape,"
    "ti-rads_margin,ti-rads_echogenicfoci,ti-rads_level,histopath_diagnosis"
)
GUIDE_HEADER = (
    "patient_id,age,sex,nodule_id,nodule_size_mm,location,ti_rads_score,composition,echogenicity,shape,margin,"
    "echogenic_foci,histopathology,image_filename,segmentation_filename"
)


def scan(seed: int, shape: tuple[int, int] = (120, 160)) -> tuple[np.ndarray, np.ndarray]:
    """Return a grey picture with a bright noisy field on black, and the mask of a disc in it."""
    rng = np.random.default_rng(seed)
    height, width = shape
    picture = np.zeros(shape, np.uint8)
    top, left = height // 10, width // 8
    field = np.s_[top : height - top, left : width - left]
    picture[field] = rng.integers(40, 200, picture[field].shape, dtype=np.uint8)
    mask = np.zeros(shape, np.uint8)
    cv2.circle(mask, (width // 2 + seed % 7, height // 2), height // 6 + seed % 5, 1, -1)
    picture[mask > 0] //= 3
    return picture, mask


def row(key: str, **other: object) -> dict[str, object]:
    """Return one row of Stanford's table: TR3 by 2 + 1 points, benign, 12 mm, unless told otherwise."""
    values = ("50", "Female", "left", "1.2", "0.9", "1.0", 2, 1, 0, 0, 0, 3, 0)
    return dict(zip(STACK_HEADER.split(","), (key, *values), strict=True)) | other


def write_stack(
    root: Path,
    clips: Mapping[str, int],
    rows: Sequence[Mapping[str, object]],
    *,
    header: str = STACK_HEADER,
    shape: tuple[int, int] = (40, 56),
    empty: Sequence[tuple[str, int]] = (),
) -> None:
    """Write dataset.hdf5 with clips in the given order (key -> frames) and metadata.csv, as Stanford ships them."""
    root.mkdir(parents=True, exist_ok=True)
    n = sum(clips.values())
    with h5py.File(root / "dataset.hdf5", "w") as file:
        keys = [key.encode() for key, count in clips.items() for _ in range(count)]
        numbers = [str(k + 1).encode() for count in clips.values() for k in range(count)]
        file.create_dataset("annot_id", data=np.array(keys, "S4"))
        file.create_dataset("frame_num", data=np.array(numbers, "S3"))
        image = file.create_dataset("image", (n, *shape), "u1", chunks=(min(n, 5), 16, 16))
        mask = file.create_dataset("mask", (n, *shape), "u1", chunks=(min(n, 5), 16, 16))
        for k in range(n):
            picture, disc = scan(k, shape)
            image[k], mask[k] = picture, disc * 255
            if (keys[k].decode(), int(numbers[k]) - 1) in empty:
                mask[k] = 0
    columns = header.split(",")
    spelt = {name.replace("-", "_"): name for name in columns}
    lines = [header]
    for values in rows:
        named = {spelt.get(name.replace("-", "_"), name): value for name, value in values.items()}
        lines.append(",".join(str(named[name]) for name in columns))
    (root / "metadata.csv").write_text("\n".join(lines))  # as shipped: no newline at the end


def write_mp4(path: Path, frames: Sequence[np.ndarray], rate: int = 10) -> None:
    """Write grey frames as H.264."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.height, stream.width = frames[0].shape
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode())


def write_guide(root: Path, clips: Mapping[str, int], **other: str) -> None:
    """Write images/*.mp4, segmentations/*.nii.gz and metadata.csv, as the thyroid guide describes them."""
    for folder in ("images", "segmentations"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    with (root / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, GUIDE_HEADER.split(","), lineterminator="\n")
        writer.writeheader()
        for name, count in clips.items():
            pairs = [scan(k) for k in range(count)]
            write_mp4(root / "images" / f"{name}_clip.mp4", [picture for picture, _ in pairs])
            volume = np.stack([mask.T for _, mask in pairs], axis=-1)
            nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), root / "segmentations" / f"{name}_seg.nii.gz")
            values = [name, "50", "Female", "1", "12", "left", "3", "solid or almost completely solid"]
            values += ["hyperechoic or isoechoic", "wider-than-tall", "smooth", "none or large comet-tail artifacts"]
            values += ["benign", f"{name}_clip.mp4", f"{name}_seg.nii.gz"]
            writer.writerow(dict(zip(GUIDE_HEADER.split(","), values, strict=True)) | other)


def outline(mask: np.ndarray) -> str:
    """Return the JSON text of <svg> for a mask: one freehand region a part."""
    parts, _ = cv2.findContours((mask > 0).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    regions = [
        {"points": [{"x": int(x), "y": int(y)} for ((x, y),) in part], "annotation": {}, "regionType": "freehand"}
        for part in parts
    ]
    return json.dumps(regions)


def write_ddti_case(
    root: Path, number: int, svgs: Mapping[int, str | None], *, seed: int | None = None, **tags: str
) -> None:
    """Write `<n>.xml` and `<n>_<k>.jpg`; an svg of None means the true outline, a text stands as it is."""
    root.mkdir(parents=True, exist_ok=True)
    marks = ""
    for k, svg in svgs.items():
        picture, mask = scan((number if seed is None else seed) * 100 + k, (180, 280))
        cv2.imwrite(str(root / f"{number}_{k}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
        marks += f"<mark><image>{k}</image><svg>{escape(outline(mask) if svg is None else svg)}</svg></mark>"
    values = {"number": str(number), "age": "50", "sex": "F", "tirads": "2"} | tags
    order = ("number", "age", "sex", "composition", "echogenicity", "margins", "calcifications", "tirads")
    text = "".join(f"<{tag}>{escape(values.get(tag, ''))}</{tag}>" for tag in (*order, "reportbacaf", "reporteco"))
    (root / f"{number}.xml").write_text(f"<case>{text}{marks}</case>")


def index_spec(kind: str, **other: object) -> dict[str, object]:
    """Return the parameters of index_cases for a kind, nothing said that differs from the defaults."""
    nobody: dict[str, list[str]] = {"cases": [], "patients": [], "files": []}
    return {"kind": kind, "limit": None, "groups": None, "exclude": nobody, "options": {}} | other


def index_rows(root: Path, dataset: str, spec: Mapping[str, Any], cache: Path) -> tuple[list, list]:
    """Return the tables `cases` and `quarantine` of a data set as lists of rows."""
    found, lost = index_cases(root, dataset, spec, cache)
    return found.to_pylist(), lost.to_pylist()


def extract_spec(kind: str, frames: object = "all", **other: object) -> dict[str, object]:
    """Return the parameters of extract_frames for a kind."""
    return {"kind": kind, "frames": frames, "outlines": "nodule", "window": None, "options": {}} | other
