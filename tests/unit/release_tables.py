"""A small run's results: a clinic's set that may not be passed on, phantoms that may, and a model of each."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import save_file

from workflow_scripts.configuration import load_templates
from workflow_scripts.imaging.stills import encode_png
from workflow_scripts.provenance import ROOT, canonical_json, pixel_sha256
from workflow_scripts.release.write_lock import make_lock
from workflow_scripts.report.write_citations import main as write_citations
from workflow_scripts.scenarios.pictures import tile_hashes
from workflow_scripts.scenarios.reader_format import texts_sha256
from workflow_scripts.tables import cases, quarantine, scenarios
from workflow_scripts.tables.table import write_rows

KINDS = {"clinic-berlin7": "thyroid-cineclip", "phantoms": "ddti"}
CASE, SHORT, NUMBER, NAME, STUDY = "patient00417", "4", "20481234", "Oberhuber_Xaver", "ACC-2291-77"
UID, PARTED, PADDED = "1.2.826.0.1.3680043.8.498.417", "12-3456", "0017"
REMARK = "seen first at the seaside surgery"
LONE = "61.1265"
SHAPE = (64, 80)


def speckle(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2.0, 40.0, SHAPE).clip(0, 255).astype(np.uint8)


RESTRICTED, FREE = speckle(1), speckle(2)


def case(case_id: str, number: int, **labels: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(cases.SCHEMA.names)
    row |= {"case_id": case_id, "group_id": case_id, "group_kind": "patient", "dataset": "clinic-berlin7"}
    row |= {"sources": [f"clips/{case_id}_clip.mp4", "metadata.csv"], "label_source": "histology", "modality": "US"}
    row |= {"age": 31 + 3 * number, "sex": ("female", "male")[number % 2], "laterality": "left"}
    row |= {"pathology": "benign", "tirads_system": "ACR 2017", "tirads_level": "TR4", "largest_mm": 12.5 + number}
    row |= {"size_mm": [12.5 + number, 9.25, 11.0], "content_sha256": pixel_sha256(np.array([number]))}
    return row | labels


def entry(number: str, title: str, redistribution: str, image_sha256: str, **texts: str) -> dict[str, Any]:
    source = {"title": title, "doi": None, "citation": "None.", "redistribution": redistribution}
    return {"id": f"scenario_{number}", "title": "A nodule", "severity_score": 0, **texts} | {
        "image_file": f"images/scenario_{number}.png",
        "metadata": {"source": source, "image_sha256": image_sha256},
    }


def filled(number: str, dataset: str, case_id: str, picture: np.ndarray, made: dict[str, Any]) -> dict[str, Any]:
    return dict.fromkeys(scenarios.SCHEMA.names) | {
        "template": "needless-biopsy",
        "scenario_id": f"scenario_{number}",
        "kind": "error",
        "status": "filled",
        "dataset": dataset,
        "case_id": case_id,
        "frame_id": f"{case_id}/3",
        "frame_index": 3,
        "ground_truth": made["ground_truth"],
        "source_sha256": pixel_sha256(picture + 1),
        "image": {"bytes": None, "path": f"images/scenario_{number}.png"},
        "image_sha256": pixel_sha256(picture),
        "tile_sha256": tile_hashes(picture),
        "text_sha256": texts_sha256(made),
    }


def write_model(folder: Path, trained_on: dict[str, int], redistribution: str, encoder: str = "imagenet") -> None:
    folder.mkdir(parents=True)
    save_file({"weight": np.arange(200, dtype=np.float32)}, folder / "fold-0.safetensors", {"for": folder.name})
    card = {"trained_on": trained_on, "redistribution": redistribution, "encoder_weights": encoder}
    (folder / "fold-0.json").write_text(json.dumps(card))


def write_results(folder: Path) -> Path:
    """Write the results of a run, lock included."""
    ids = [CASE, SHORT, NUMBER, NAME, PARTED, PADDED, *(f"patient00{500 + number}" for number in range(10))]
    rows = [case(case_id, number) for number, case_id in enumerate(ids)]
    rows[1] |= {"study_id": UID}
    rows[0] |= {"study_id": STUDY, "labels": [("remark", REMARK)], "ejection_fraction": float(LONE)}
    drawn = dict.fromkeys(cases.SCHEMA.names) | {"case_id": "1", "group_id": "1", "label_source": "phantom"}
    write_rows(folder / "datasets/clinic-berlin7/cases.parquet", rows, cases.SCHEMA)
    write_rows(folder / "datasets/phantoms/cases.parquet", [drawn | {"sources": ["1.xml"]}], cases.SCHEMA)
    broken = {"case_id": "patient09999", "file": "clips/patient09999_clip.mp4", "reason": "cut off"}
    write_rows(folder / "datasets/clinic-berlin7/quarantine/index_cases.parquet", [broken], quarantine.SCHEMA)
    forbidden = entry(
        *("101", "Thyroid Ultrasound Cine-clip", "forbidden", pixel_sha256(RESTRICTED)),
        ground_truth="Thyroid nodule of 12.5 mm in the left lobe of a woman of 31 years; benign by histology.",
    )
    allowed = entry(
        *("201", "Synthetic phantoms", "allowed", pixel_sha256(FREE)),
        ground_truth="Thyroid nodule of 12.5 mm in the left lobe of a woman of 34 years, male; TR4.",
    )
    table = [
        filled("101", "clinic-berlin7", CASE, RESTRICTED, forbidden),
        filled("201", "phantoms", "1", FREE, allowed),
        dict.fromkeys(scenarios.SCHEMA.names)
        | {"template": "needless-biopsy", "scenario_id": "scenario_301", "status": "refused", "reason": "too few"},
    ]
    write_rows(folder / "scenarios/scenarios.parquet", table, scenarios.SCHEMA)
    (folder / "scenarios/scenarios.json").write_text(json.dumps([forbidden, allowed, {"id": "scenario_001"}]))
    (folder / "scenarios/images").mkdir()
    (folder / "scenarios/images/scenario_101.png").write_bytes(encode_png(RESTRICTED))
    (folder / "scenarios/images/scenario_201.png").write_bytes(encode_png(FREE))
    write_model(folder / "model/unet-clinic", {"clinic-berlin7": 9, "phantoms": 1}, "forbidden")
    write_model(folder / "model/unet-free", {"phantoms": 1}, "allowed")
    write_model(folder / "model/unet-fine", {"phantoms": 1}, "allowed", "own.safetensors")
    (folder / "review").mkdir()
    many = {"n_groups": 12, "n_frames": 40, "dice": {"mean": 0.81234567, "interval": [0.7, 0.9]}}
    few = {"part": "TR1", "n_groups": 2, "n_frames": 9, "dice": {"mean": 0.5}}
    figures = {"overall": many, "datasets": {"clinic-berlin7": many}, "strata": [{"name": "level", "parts": [few]}]}
    (folder / "review/scores.json").write_text(json.dumps({"models": {"unet-clinic": figures}}))
    few = {"n": 1, "observed": 1.0, "predicted": 0.32562983}
    drawn_up = {"n_groups": 12, "points": [[number / 37, number / 41, number / 43] for number in range(40)]}
    drawn_up |= {"mae": 0.04, "model": "unet-clinic", "n_frames": 40, "gate": 0.8}
    drawn_up["risk_coverage"] = [{"share": k / 20, "dice": 0.9 - k / 100, "bad": k / 50} for k in range(1, 21)]
    (folder / "review/quality.json").write_text(json.dumps(drawn_up | {"reliability": [few]}))
    report = folder / "report"
    argv = ["--datasets", str(folder / "datasets"), "--spec", canonical_json(KINDS)]
    write_citations([*argv, "--text", str(report / "CITATIONS.md"), "--bibtex", str(report / "CITATIONS.bib")])
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    config["preprocess"]["speckle"] = "none"
    spec = {
        "config": config,
        "datasets": {
            name: {"kind": kind, "frames": "all", "outlines": "nodule", "window": None, "options": {}}
            for name, kind in KINDS.items()
        },
        "templates": load_templates(["config/scenarios/thyroid.yaml"]),
        "code": {"scenarios.write_scenarios": "0" * 16},
    }
    lock = make_lock(folder / "scenarios", spec)
    (folder / "scenarios/casebook.lock.json").write_text(json.dumps(lock, indent=2, sort_keys=True) + "\n")
    return folder
