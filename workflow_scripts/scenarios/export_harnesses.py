"""The scenarios as evaluation harnesses and Hugging Face read them; the pictures as files lie in one folder for all."""

import base64
import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from workflow_scripts.scenarios.export_cases import COLUMNS, CORRECT, ERROR, HOW_TO_ANSWER, Case
from workflow_scripts.tables.table import IMAGE, RowWriter

PARQUET = "huggingface/data/test-00000-of-00001.parquet"
"""Where the table lies under the folder of exports; Hugging Face takes the split from the name."""
OPTIONS = {"A": "The decision is appropriate", "B": "The decision is an error"}
LETTERS = {CORRECT: "A", ERROR: "B"}
TASK = {
    "dataset_path": "parquet",
    "dataset_kwargs": {"data_files": {"test": PARQUET}},  # from the folder of exports: lm-eval resolves nothing itself
    "test_split": "test",
}
MULTIMODAL = {
    "task": "casebook",
    **TASK,
    "output_type": "generate_until",
    "doc_to_image": ["image"],
    "doc_to_text": f"<image>{{{{question}}}}\n\n{HOW_TO_ANSWER}",
    "doc_to_target": "answer",
    "generation_kwargs": {"until": [], "do_sample": False, "max_gen_toks": 512},
    "filter_list": [
        {
            "name": "verdict",
            "filter": [
                {"function": "regex", "regex_pattern": rf"\b({ERROR}|{CORRECT})\b"},
                {"function": "take_first"},
            ],
        }
    ],
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    "metadata": {"version": 1.0},
}
TEXT_ONLY = {
    "task": "casebook_text",
    **TASK,
    "output_type": "multiple_choice",
    "doc_to_text": f"{{{{question}}}}\n\n{HOW_TO_ANSWER}\nAnswer:",
    "doc_to_choice": [CORRECT, ERROR],
    "doc_to_target": "answer",
    "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    "metadata": {"version": 1.0},
}


def write_vlmevalkit(cases: Iterable[Case], path: Path) -> None:
    """Write multiple-choice questions as VLMEvalKit's own sets have them; `image_path` keeps it from making JPEGs."""
    path.parent.mkdir(parents=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        columns = ["index", "id", "image", "image_path", "question", *OPTIONS, "answer", "category", "l2-category"]
        writer = csv.DictWriter(file, columns, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        for index, case in enumerate(cases, 1):
            row = case.row
            writer.writerow(
                {
                    "index": index,
                    "id": case.id,
                    "image": base64.b64encode(case.image.read_bytes()).decode(),
                    "image_path": case.image_name,
                    "question": row["question"],
                    **OPTIONS,
                    "answer": LETTERS[row["answer"]],
                    "category": row["category"],
                    "l2-category": row["modality"],
                }
            )


def write_inspect(cases: Iterable[Case], path: Path, pictures: str) -> None:
    """Write samples of Inspect: picture and question in one message; `pictures` is their folder, seen from the file."""
    path.parent.mkdir(parents=True)
    asked = ("id", "question", "answer")
    _write_lines(
        path,
        (
            {
                "id": case.id,
                "input": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "image", "image": f"{pictures}/{case.image_name}"},
                            {"type": "text", "text": f"{case.row['question']}\n\n{HOW_TO_ANSWER}"},
                        ],
                    }
                ],
                "target": case.row["answer"],
                "metadata": {name: value for name, value in case.row.items() if name not in asked},
            }
            for case in cases
        ),
    )


def write_parquet(cases: Iterable[Case], path: Path) -> None:
    """Write the table with its pictures inside, and with the features that Hugging Face `datasets` asks for."""
    path.parent.mkdir(parents=True)
    features = {field.name: _feature(field) for field in COLUMNS}
    described = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    with RowWriter(path, COLUMNS.with_metadata(described)) as writer:
        for case in cases:
            writer.write(case.row | {"image": {"bytes": case.image.read_bytes(), "path": case.image_name}})


def write_imagefolder(cases: Iterable[Case], folder: Path) -> None:
    """Write the metadata.jsonl of an ImageFolder beside the pictures: `datasets` takes none from another folder."""
    _write_lines(folder / "metadata.jsonl", ({"file_name": case.image_name, **case.row} for case in cases))


def write_lm_eval(folder: Path) -> None:
    """Write the tasks of lm-evaluation-harness: with the picture, and without it, which shows what the text gives."""
    folder.mkdir(parents=True)
    for task in (MULTIMODAL, TEXT_ONLY):
        text = yaml.safe_dump(task, sort_keys=False, width=1000)
        (folder / f"{task['task']}.yaml").write_text(text, encoding="utf-8")


def _feature(field: pa.Field) -> dict[str, str]:
    return {"_type": "Image"} if field.type == IMAGE else {"dtype": str(field.type), "_type": "Value"}


def _write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="ascii", newline="") as file:  # ASCII: no reader breaks a line at U+2028
        file.writelines(f"{json.dumps(row)}\n" for row in rows)


def write_harnesses(cases: Sequence[Case], folder: Path, pictures: Path) -> None:
    """Write every harness's files under `folder`; `pictures` is the folder below it that holds the pictures."""
    write_vlmevalkit(cases, folder / "vlmevalkit" / "casebook.tsv")
    write_inspect(cases, folder / "inspect" / "casebook.jsonl", f"../{pictures.relative_to(folder).as_posix()}")
    write_parquet(cases, folder / PARQUET)
    write_imagefolder(cases, pictures)
    write_lm_eval(folder / "lm_eval")
