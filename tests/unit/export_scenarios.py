"""A scenarios.json with its pictures, of every modality and kind, and the command run on it."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.imaging.stills import encode_png
from workflow_scripts.provenance import pixel_sha256
from workflow_scripts.scenarios.write_exports import main

MODALITIES = ("X-Ray", "MRI", "Ultrasound", "Echocardiogram", "Microscopy", "CT Scan", "Mammography")
CATEGORIES = ("Overtreatment", "Diagnostic Mismatch", "Unnecessary Follow-up", "Undertreatment")
TEXTS = (
    "=1+1 is how this case begins; the picture shows no fracture",
    "+The slice shows one enhancing lesion of 12 mm",
    "@Σ-Befund: größter Durchmesser 8 mm, \tтретий срез",
    "تظهر الصورة عقدة مفردة في الفص الأيمن",
    '-A field of "smooth" cells,\nin two\u2028lines',
    "Eine Aufnahme {ohne} Befund <b>🫀</b>",
    "The view shows a round mass",
)


def picture(number: int) -> np.ndarray:
    shape = (20 + number, 30) if number % 2 else (20 + number, 30, 3)
    return np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)


def entry(number: int, **metadata: Any) -> dict[str, Any]:
    """Return one entry; even numbers are errors, odd ones appropriate."""
    error = number % 2 == 0
    head = {
        "id": f"scenario_{101 + number}",
        "title": f"An Unnecessary Title {number}",
        "imaging_modality": MODALITIES[number % len(MODALITIES)],
        "error_category": CATEGORIES[number // 2 % len(CATEGORIES)] if error else "Correct Treatment",
        "severity_score": 1 + number % 10 if error else 0,
        "description": TEXTS[number % len(TEXTS)],
        "ground_truth": f"Labels of case {number}: benign by histology",
    }
    tail = {
        "image_file": f"images/scenario_{101 + number}.png",
        "detection_results": [],
        "metadata": {
            "source": {"title": f"Set {number % 3}", "doi": "10.1/x" if number % 3 else None, "citation": "A. B. 2020."}
            | {"redistribution": ("forbidden", "unclear", "allowed")[number % 3]},
            "label_source": "histology",
            "tirads_system": "ACR 2017" if number % 4 == 2 else None,
            "tirads_level": "TR2" if number % 4 == 2 else None,
            "advice_system": None,
            "advice": None,
            "advice_reason": None,
            "age": 40 + number if number % 3 else None,
            "sex": (None, "male", "female")[number % 3],
            "procedure": {"code": "10005", "service": "Fine-needle aspiration", "charge": 900} if number % 3 else None,
            "overlay_file": None,
            "image_sha256": pixel_sha256(picture(number)),
            "note": "Made by Casebook",
        }
        | metadata,
    }
    if error:
        risk = ("Critical", "High", "Medium")[number % 3]
        said = {"erroneous_action": f"Operation {number}", "malpractice_risk": f"{risk} - Harm without need"}
        return head | said | {"expected_action": f"No operation {number}"} | tail
    said = {"appropriate_action": f"Operation {number}", "clinical_decision": f"Appropriate - reason {number}"}
    return head | said | {"expected_detection": "No error - it is indicated"} | tail


class Desk:
    """A folder with a scenarios.json; `run` is the command."""

    def __init__(self, folder: Path, count: int = 14) -> None:
        self.folder, self.out = folder, folder / "exports"
        self.entries = [entry(number) for number in range(count)]
        (folder / "images").mkdir(parents=True)
        for number in range(count):
            (folder / f"images/scenario_{101 + number}.png").write_bytes(encode_png(picture(number)))

    def run(self, entries: Any = None) -> Path:
        """Write the exports of `entries`, or of all, and return their folder."""
        text = entries if isinstance(entries, str) else json.dumps(self.entries if entries is None else entries)
        (self.folder / "scenarios.json").write_text(text, encoding="utf-8")
        main(["--scenarios", str(self.folder / "scenarios.json"), "--out", str(self.out)])
        return self.out


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file under `folder`."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
