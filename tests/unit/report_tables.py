"""Small results folders for the tests of the report: every table of two data sets in the true schema."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from workflow_scripts.imaging.stills import encode_png
from workflow_scripts.provenance import canonical_json
from workflow_scripts.report import record_provenance, write_report
from workflow_scripts.tables import cases, frames, grades, inputs, matches, quarantine, scenarios
from workflow_scripts.tables.table import write_rows

HOSTILE = '<script>alert("1")</script>'
STAGES = ("index_cases", "extract_frames", "preprocess_frames", "grade_nodules")
HEIGHT, WIDTH = 40, 60


def row(schema: pa.Schema, **values: Any) -> dict[str, Any]:
    return dict.fromkeys(schema.names) | values


def still(level: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.full((height, width), level, np.uint8)


def outline(shape: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[10:20, 10:30] = 1
    return mask


def picture(pixels: np.ndarray) -> dict[str, Any]:
    return {"bytes": encode_png(pixels), "path": None}


def write_chunked(folder: Path, table: str, rows: list[dict], schema: pa.Schema) -> None:
    """Deal rows to two chunks, as the plan does: odd cases to 001, even ones to 000."""
    for chunk in (0, 1):
        write_rows(folder / table / f"{chunk:03d}.parquet", [r for r in rows if int(r["case_id"]) % 2 == chunk], schema)


def write_dataset(folder: Path, root: Path, plan: dict[str, dict[str, Any]]) -> None:
    """Write every table of a data set; `plan` says of each case what became of it."""
    root.mkdir(parents=True)
    table: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("cases", "chunks", "frames", "inputs", "grades", *STAGES)
    }
    for case_id, said in plan.items():
        case = {"case_id": case_id, "dataset": folder.name}
        left, masks = said.get("left_at"), said.get("masks", [True])
        reached = STAGES.index(left) if left else len(STAGES)
        if reached > 0:
            labels = {
                "group_id": case_id,
                "group_kind": "case",
                "content_sha256": f"{case_id:0>64}",
                "n_frames": len(masks),
            }
            table["cases"].append(row(cases.SCHEMA, **case, **labels, **said.get("labels", {})))
            if said.get("planned", True):
                table["chunks"].append(table["cases"][-1])
            else:
                continue
        for index, outlined in enumerate(masks):
            frame = {"frame_id": f"{case_id}/{index}", "case_id": case_id}
            image = picture(still(100 + index))
            if said.get("file"):
                (root / said["file"]).write_bytes(image["bytes"])
                image = {"bytes": None, "path": said["file"]}
            mask = picture(outline((HEIGHT, WIDTH))) if outlined else None
            size: dict[str, Any] = {"modality": "US", "frame_index": index, "height": HEIGHT, "width": WIDTH}
            if reached > 1:
                kind = "nodule" if outlined else None
                table["frames"].append(row(frames.SCHEMA, **frame, **size, image=image, mask=mask, mask_kind=kind))
            if reached > 2:
                small = picture(outline((64, 64))) if outlined else None
                kept = said.get("mask_kept", 1.0) if outlined else None
                ready = {
                    "image": picture(still(90, 64, 64)),
                    "mask": small,
                    "field": picture(still(255)),
                    "mask_kept": kept,
                }
                table["inputs"].append(row(inputs.SCHEMA, **frame, **ready, affine=[1.0, 0, 0, 0, 1, 0]))
        if reached > 3:
            grade = {
                "system": "ACR 2017",
                "advice": "cannot be determined",
                "reason": "ACR 2017: shape is not known; and so on",
            }
            table["grades"].append(row(grades.SCHEMA, **case, **(grade | said.get("grade", {}))))
        for stage, status in ((left, "quarantined"), (said.get("partial_at"), "partial")):
            if stage:
                problem = {
                    "file": f"{case_id}.xml",
                    "reason": said.get("reason", f"broken at {stage}"),
                    "mend": "mend it",
                }
                table[stage].append(row(quarantine.SCHEMA, **case, stage=stage, status=status, **problem))
    write_rows(folder / "cases.parquet", table["cases"], cases.SCHEMA)
    write_rows(folder / "grades.parquet", table["grades"], grades.SCHEMA)
    for name, schema in (("chunks", cases.SCHEMA), ("frames", frames.SCHEMA), ("inputs", inputs.SCHEMA)):
        write_chunked(folder, name, table[name], schema)
    for stage in STAGES:
        if stage in ("index_cases", "grade_nodules"):
            write_rows(folder / "quarantine" / f"{stage}.parquet", table[stage], quarantine.SCHEMA)
        else:
            write_chunked(folder, f"quarantine/{stage}", table[stage], quarantine.SCHEMA)


MALIGNANT = {"pathology": "malignant", "label_source": "histology", "tirads_system": "ACR 2017", "tirads_level": "TR5"}
FNA = {"points": 9, "level": "TR5", "advice": "fna", "reason": "ACR 2017: 9 points, TR5; largest diameter 21 mm: FNA"}
STILLS: dict[str, dict[str, Any]] = {
    "1": {"file": "1_1.png", "labels": {"tirads_system": "Kwak 2011", "tirads_level": "4a"}},
    "2": {"masks": [False], "partial_at": "extract_frames", "file": "2_1.png"},
    "3": {"left_at": "index_cases"},
    "4": {"left_at": "extract_frames"},
    "5": {"left_at": "preprocess_frames"},
    "6": {"left_at": "grade_nodules", "reason": HOSTILE},
    "10": {"planned": False},
}
CLIPS: dict[str, dict[str, Any]] = {
    "7": {
        "masks": [False, True, True],
        "labels": MALIGNANT | {"size_mm": [21.0, 9.5, None]},
        "grade": FNA,
        "mask_kept": 0.75,
    },
    "1234": {"masks": [True] * 40},
}
KINDS = {"clinic-a": "ddti", "clips": "thyroid-cineclip"}
TEXT = {
    "id": "scenario_020",
    "title": "Rightly biopsied",
    "description": "A nodule of 21 mm",
    "appropriate_action": "FNA",
    "clinical_decision": "Appropriate - advised",
}


class Run:
    """A results folder with two data sets, and the two commands run on it."""

    def __init__(self, folder: Path, plans: dict[str, dict[str, dict[str, Any]]], kinds: dict[str, str]) -> None:
        self.results, self.kinds = folder / "results", kinds
        self.stages: dict[str, list[str]] = {"score_calcium": [], "compare_advice": []}
        self.scored: dict[str, Any] = {"models": {}, "datasets": {name: [] for name in plans}}
        self.roots = {name: str(folder / "data" / name) for name in plans}
        for name, plan in plans.items():
            write_dataset(self.results / "datasets" / name, folder / "data" / name, plan)
        written = self.results / "scenarios"
        (written / "images").mkdir(parents=True)
        filled = "clips" in plans
        text = json.dumps([TEXT] if filled else [])
        (written / "scenarios.json").write_text(text, encoding="utf-8-sig")  # as where the updated file had a mark
        (written / "images" / "scenario_020.png").write_bytes(encode_png(still(77)))
        source = {
            "dataset": "clips",
            "case_id": "7",
            "frame_id": "7/1",
            "image": {"bytes": None, "path": "images/scenario_020.png"},
        }
        hashes = {"image_sha256": "ab" * 32, "source_sha256": "cd" * 32, "ground_truth": "TR5, malignant by histology"}
        refused = {
            "template": "needless",
            "kind": "error",
            "scenario_id": "scenario_010",
            "status": "refused",
            "reason": f"no case fits {HOSTILE}",
        }
        rows = [row(scenarios.SCHEMA, **refused)]
        if filled:
            rows.append(
                row(
                    scenarios.SCHEMA,
                    template="right",
                    kind="appropriate",
                    scenario_id="scenario_020",
                    status="filled",
                    **source,
                    **hashes,
                )
            )
        asked = [("needless", "error", 0), ("right", "appropriate", 1)]
        counts = [
            row(matches.SCHEMA, template=name, title=name, kind=kind, asked=1, eligible=n, patients=n, datasets=[])
            for name, kind, n in asked
        ]
        write_rows(written / "matches.parquet", counts, matches.SCHEMA)
        self.table = written / "scenarios.parquet"
        write_rows(self.table, rows, scenarios.SCHEMA)

    def report(self, name: str = "report") -> tuple[str, dict[str, Any]]:
        page, summary = self.results / name / "index.html", self.results / name / "summary.json"
        asked = {"roots": canonical_json(self.roots), "scenarios": self.table, "page": page, "summary": summary}
        asked |= {"review": self.results / "review", "models": self.results / "model"}
        spec = {"kinds": self.kinds, "limit": None, "stages": self.stages, "own": {"datasets": {}}} | self.scored
        shared = any(len(models) > 1 for models in self.scored["datasets"].values())
        spec |= {"sections": ["comparison"] if shared else []}
        write_report.main(self._arguments(spec=canonical_json(spec), **asked))
        return page.read_text(encoding="utf-8"), json.loads(summary.read_text(encoding="utf-8"))

    def provenance(self, config: dict[str, Any]) -> dict[str, Any]:
        out = self.results / "report" / "provenance.json"
        spec = {"config": config, "templates_sha256": "0" * 64, "code": {"frames.extract_frames": "1f2e"}}
        asked = {"scenarios": self.table.with_name("scenarios.json"), "table": self.table, "provenance": out}
        record_provenance.main(self._arguments(spec=canonical_json(spec), **asked))
        recorded: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return recorded

    def _arguments(self, **asked: Any) -> list[str]:
        asked["datasets"] = self.results / "datasets"
        return [text for name, value in asked.items() for text in (f"--{name}", str(value))]
