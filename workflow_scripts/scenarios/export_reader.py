"""The scenarios as the programs of boobootoo2/medbilldozer (5887afb) consume them: a manifest, and challenge files.

Its programs put `clinical_finding` and `finding` into the prompt. So these hold the description: the ground truth says
what is advised, and would give the answer.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.scenarios.export_cases import NOT_RECORDED, Case

MODALITIES = {
    "X-Ray": "xray",
    "Mammography": "xray",
    "MRI": "mri",
    "CT Scan": "ct",
    "Ultrasound": "ultrasound",
    "Echocardiogram": "ultrasound",
    "Microscopy": "histopathology",
}
"""The reader's two vocabularies: of scenarios.json, and of its programs."""
ERROR_TYPES = {
    "Correct Treatment": "none",
    "Overtreatment": "overtreatment",
    "Unnecessary Follow-up": "unnecessary_procedure",
    # the reader has no word for these two; its programs only ask whether it is "none"
    "Diagnostic Mismatch": "diagnostic_mismatch",
    "Undertreatment": "undertreatment",
}
SEVERITIES = {"Critical": "critical", "High": "high", "Medium": "moderate"}
DETERMINATIONS = {
    True: "ERROR - The decision does not fit the findings",
    False: "CORRECT - The decision fits the findings",
}
NOT_STATED = "not stated"  # whether a picture shows disease: no column of a case says it of every data set


def write_reader(cases: Sequence[Case], folder: Path) -> None:
    """Write `selected/` (manifest and pictures) and `challenge_scenarios/clinical_validation/` (a file a scenario)."""
    selected, challenge = folder / "selected", folder / "challenge_scenarios" / "clinical_validation"
    for each in (selected, challenge):
        each.mkdir(parents=True)
    _write_json(selected / "manifest.json", make_manifest(cases))
    for case in cases:
        shutil.copyfile(case.image, selected / case.image_name)
        _write_json(challenge / f"{case.id}.json", make_challenge(case))


def make_manifest(cases: Sequence[Case]) -> dict[str, Any]:
    """Return the manifest with the reader's keys; it has no time, for the same scenarios give the same file."""
    datasets: dict[str, dict[str, Any]] = {}
    for case in cases:
        of_set = datasets.setdefault(case.source["title"], {**_terms(case), "images_count": 0})
        of_set["images_count"] += 1
    return {
        "created": NOT_RECORDED,
        "description": "Scenarios made by Casebook, of cases whose labels carry the ground truth",
        "total_images": len(cases),
        "modalities": sorted({_modality(case) for case in cases}),
        "images": [_manifest_image(case) for case in cases],
        "datasets_used": datasets,
        "updated": NOT_RECORDED,
    }


def make_challenge(case: Case) -> dict[str, Any]:
    """Return a challenge scenario; bill and patient are made up, and what is not known of the case is said so."""
    procedure = case.metadata["procedure"]
    return {
        "scenario_id": case.id,
        "patient_name": f"Case {case.id}",
        "patient_avatar": "\N{ADULT}",
        "patient_profile": _patient(case) | {"vital_signs": NOT_RECORDED},
        "clinical_images": [
            {
                "file_path": case.image_name,
                "modality": _modality(case),
                "finding": case.entry["description"],
                "is_abnormal": None,
            }
        ],
        "patient_story": f"{case.told}\n\nThe patient and the bill are made up.",
        "provider_bill": make_bill(procedure) if procedure else {},
        "insurance_eob": {},
        "billing_errors": [],
        "has_billing_errors": False,
        "clinical_errors": [_clinical_error(case)] if case.is_error else [],
        "has_clinical_errors": case.is_error,
        "malpractice": None,
        "difficulty": "medium",
        "category": "clinical_validation",
        "tags": [_modality(case)],
        "max_score": 1000,
        "time_bonus_threshold": 300,
    }


def make_bill(procedure: dict[str, Any]) -> dict[str, Any]:
    """Return the bill of what was ordered: the reader takes for treatment what says "treatment" or "therapy"."""
    service, charge = procedure["service"], float(procedure["charge"])
    if not any(word in service.lower() for word in ("treatment", "therapy")):
        service = f"Treatment ordered: {service}"
    item = {"service": service, "code": procedure["code"], "charge": charge, "error": None}
    return {"date": NOT_RECORDED, "provider": "Casebook (a made-up bill)", "items": [item], "total": charge}


def _manifest_image(case: Case) -> dict[str, Any]:
    system, level = (case.metadata[name] for name in ("tirads_system", "tirads_level"))
    terms = _terms(case)
    return {
        "filename": case.image_name,
        "modality": _modality(case),
        "diagnosis": NOT_STATED,
        "class": f"{system}: {level}" if system and level else NOT_STATED,
        "source_file": "withheld: names of files stay with the data set",
        "dataset": case.source["title"],
        "dataset_url": terms["url"],
        "license": terms["license"],
        "citation": terms["citation"],
        "scenarios": [
            {
                "scenario_id": case.id,
                "validation_type": "treatment_matching",
                "modality": _modality(case),
                "image_type": NOT_STATED,
                "patient_context": _patient(case),
                "clinical_finding": case.entry["description"],
                "prescribed_treatment": case.decision,
                "expected_determination": DETERMINATIONS[case.is_error],
                "error_type": ERROR_TYPES[case.entry["error_category"]],
                "severity": _severity(case),
                "cost_impact": _saved(case),
            }
        ],
    }


def _clinical_error(case: Case) -> dict[str, Any]:
    procedure = case.metadata["procedure"]
    return {
        "id": "C1",
        "severity": _severity(case).title(),
        "category": case.entry["error_category"],
        "description": f"{case.entry['expected_action']}. {case.entry['malpractice_risk']}",
        "provider_charge": procedure["charge"] if procedure else None,
        "insurance_paid": None,
        "potential_savings": _saved(case),
        "image_finding": case.entry["ground_truth"],
        "prescribed_treatment": case.decision,
    }


def _modality(case: Case) -> str:
    return MODALITIES[case.entry["imaging_modality"]]


def _severity(case: Case) -> str:
    return SEVERITIES[case.entry["malpractice_risk"].split(" - ")[0]] if case.is_error else "none"


def _saved(case: Case) -> int:
    """Return what was billed by error, in US dollars (made up); what was left undone was not billed."""
    procedure, more = case.metadata["procedure"], case.entry["error_category"] != "Undertreatment"
    return procedure["charge"] if case.is_error and procedure and more else 0


def _patient(case: Case) -> dict[str, Any]:
    age, sex = case.metadata["age"], case.metadata["sex"]
    return {
        "age": NOT_RECORDED if age is None else age,
        "gender": sex.title() if sex else NOT_RECORDED,
        "chief_complaint": NOT_RECORDED,
    }


def _terms(case: Case) -> dict[str, str]:
    source = case.source
    return {
        "url": f"https://doi.org/{source['doi']}" if source["doi"] else NOT_RECORDED,
        "license": f"the data set's own terms; passing it on: {source['redistribution']}",
        "citation": source["citation"],
    }


def _write_json(path: Path, value: Any) -> None:
    # ASCII: the reader opens its files in the machine's own encoding
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="ascii")
