"""Tables as the stages before make them, small enough to be seen through, and the two commands run on them."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pyarrow.parquet import read_table

from workflow_scripts.imaging.stills import decode_picture, encode_png
from workflow_scripts.provenance import canonical_json, pixel_sha256
from workflow_scripts.release.locate_frames import main as locate
from workflow_scripts.scenarios.match_scenarios import match_scenarios
from workflow_scripts.scenarios.write_scenarios import main
from workflow_scripts.tables import candidates, cases, frames, grades, inputs, matches, scenarios
from workflow_scripts.tables.table import RowWriter, read_rows, write_rows

SHAPE = (60, 80)


def speckle(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2.0, 40.0, SHAPE).clip(0, 255).astype(np.uint8)


def disc(radius: int, label: int = 1) -> np.ndarray:
    return cv2.circle(np.zeros(SHAPE, np.uint8), (40, 30), radius, label, -1)


def png(pixels: np.ndarray) -> dict[str, Any]:
    return {"bytes": encode_png(pixels), "path": None}


def benign(case_id: str, **labels: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(cases.SCHEMA.names)
    row |= {"case_id": case_id, "group_id": case_id, "label_source": "histology", "sources": ["secret_source.hdf5"]}
    row |= {"pathology": "benign", "tirads_system": "ACR 2017", "tirads_level": "TR2", "largest_mm": 12.5}
    return row | labels


def grade(case_id: str, **changes: Any) -> dict[str, Any]:
    row = {"case_id": case_id, "system": "ACR 2017", "points": 2, "level": "TR2", "advice": "none"}
    row |= {
        "reason": "ACR 2017: 2 points, TR2",
        "findings": "mixed cystic and solid",
        "source": "radiologist descriptors",
    }
    return row | changes


class House:
    """A results folder with one data set, made as the stages before make it; `run` is the two commands."""

    text_search = "off"
    ungraded = False

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "source"
        self.cases: list[dict] = []
        self.tables: dict[str, list[dict]] = {"frames": [], "inputs": [], "grades": []}
        self.root.mkdir()

    def add(
        self,
        case: dict[str, Any],
        shots: list[tuple[np.ndarray, np.ndarray | None]] | None = None,
        graded: dict[str, Any] | None = None,
        mask_kept: float = 1.0,
        overlay: np.ndarray | None = None,
        path: str | None = None,
        field: np.ndarray | None = None,
        modality: str = "US",
    ) -> None:
        case_id = case["case_id"]
        self.cases.append(case | {"dataset": "clinic"})
        if field is None:
            field = np.zeros(SHAPE, np.uint8)
            field[5:55, 10:70] = 255
        for index, (image, mask) in enumerate([(speckle(len(self.cases)), disc(9))] if shots is None else shots):
            frame: dict[str, Any] = dict.fromkeys(frames.SCHEMA.names)
            ready: dict[str, Any] = dict.fromkeys(inputs.SCHEMA.names)
            names = {"frame_id": f"{case_id}/{index}", "case_id": case_id}
            outline = None if mask is None else png(mask)
            picture = {"bytes": None, "path": path} if path else png(image)
            frame |= names | {
                "frame_index": index,
                "modality": modality,
                "mask_kind": None if mask is None else "nodule",
                "image": picture,
                "mask": outline,
                "pixel_sha256": pixel_sha256(image),
            }
            ready |= names | {"field": png(field), "mask": outline, "mask_kept": None if mask is None else mask_kept}
            self.tables["frames"].append(frame)
            self.tables["inputs"].append(ready | {"overlay": None if overlay is None else png(overlay)})
        if graded != {}:
            self.tables["grades"].append(grade(case_id, dataset="clinic", **(graded or {})))

    def run(
        self, *templates: dict[str, Any], existing: Path | None = None, lock: Path | None = None
    ) -> tuple[list[dict], list[dict]]:
        """Return the entries of scenarios.json and the rows of the table; with a lock, made of its frames."""
        folder = self.folder / "datasets" / "clinic"
        spec = {"kinds": {"clinic": "ddti"}, "text": self.text_search}
        write_rows(folder / "cases.parquet", self.cases, cases.SCHEMA)
        write_rows(folder / "chunks" / "000.parquet", self.cases, cases.SCHEMA)
        for name, schema in {"frames": frames.SCHEMA, "inputs": inputs.SCHEMA}.items():
            (folder / name).mkdir(exist_ok=True)
            with RowWriter(folder / name / "000.parquet", schema, group=3) as writer:
                for row in self.tables[name]:
                    writer.write(row)
        if not self.ungraded:
            write_rows(folder / "grades.parquet", self.tables["grades"], grades.SCHEMA)
        (self.folder / "templates.yaml").write_text(canonical_json({"templates": templates}), encoding="utf-8")
        fitting, counts = match_scenarios(read_table(folder / "cases.parquet"), templates, 0)
        write_rows(self.folder / "candidates.parquet", fitting, candidates.SCHEMA)
        write_rows(self.folder / "matches.parquet", counts, matches.SCHEMA)
        out = self.folder / "scenarios"
        arguments = {
            "datasets": self.folder / "datasets",
            "roots": canonical_json({"clinic": str(self.root)}),
            "candidates": self.folder / "candidates.parquet",
            "matches": self.folder / "matches.parquet",
            "spec": canonical_json(spec),
            "templates": self.folder / "templates.yaml",
            "scenarios": out / "scenarios.json",
            "table": out / "scenarios.parquet",
            "images": out / "images",
        }
        argv = [text for name, value in arguments.items() for text in (f"--{name}", str(value))]
        argv += ["--update", str(existing)] if existing else []
        if lock:
            found = self.folder / "locked.json"
            kinds, datasets = canonical_json({"kinds": spec["kinds"]}), str(self.folder / "datasets")
            locate(["--release", str(lock), "--datasets", datasets, "--spec", kinds, "--cases", str(found)])
            argv += ["--locked", str(found)]
        main(argv)
        self.text = (out / "scenarios.json").read_bytes()
        return json.loads(self.text.decode("utf-8-sig")), read_rows(out / "scenarios.parquet", scenarios.SCHEMA)

    def picture(self, scenario_id: str) -> np.ndarray:
        return decode_picture((self.folder / "scenarios" / "images" / f"{scenario_id}.png").read_bytes())
