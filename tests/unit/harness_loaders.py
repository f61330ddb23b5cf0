"""Run by the Python of .venv-harness in a folder of exports: what each harness's own loader makes of them, as JSON."""

import json
import sys
from importlib import import_module
from typing import Any

import numpy as np


def pixels(image: Any) -> dict[str, Any]:
    return {"shape": list(np.asarray(image).shape), "sum": int(np.asarray(image).astype(int).sum())}


def rows(dataset: Any) -> list[dict[str, Any]]:
    return [{**row, "image": pixels(row["image"])} for row in dataset]


def hugging_face() -> dict[str, Any]:
    load = import_module("datasets").load_dataset
    return {
        "parquet": rows(load("parquet", data_dir="huggingface", split="test")),
        "imagefolder": rows(load("imagefolder", data_dir="reader/selected", split="train")),
    }


def inspect() -> list[dict[str, Any]]:
    open_image = import_module("PIL.Image").open
    found = []
    for sample in import_module("inspect_ai.dataset").json_dataset("inspect/casebook.jsonl"):
        (message,) = sample.input
        image, text = message.content
        found.append({"id": sample.id, "answer": sample.target, "question": text.text, "role": message.role})
        found[-1] |= {"image": pixels(open_image(image.image)), "ground_truth": sample.metadata["ground_truth"]}
    return found


def lm_eval() -> dict[str, Any]:
    class AlwaysError(import_module("lm_eval.api.model").LM):  # type: ignore[misc]
        MULTIMODAL = True

        def generate_until(self, requests: list[Any], **options: Any) -> list[str]:
            seen.extend(pixels(image) for request in requests for image in request.arguments[2]["visual"])
            return ["**ERROR**: it does not fit" for _ in requests]

        def loglikelihood(self, requests: list[Any], **options: Any) -> list[tuple[float, bool]]:
            return [(float("ERROR" in request.arguments[1]), False) for request in requests]

        def loglikelihood_rolling(self, requests: list[Any], **options: Any) -> list[float]:
            raise NotImplementedError

    seen: list[dict[str, Any]] = []
    names = ["casebook", "casebook_text"]
    manager = import_module("lm_eval.tasks").TaskManager(include_path="lm_eval", include_defaults=False)
    done = import_module("lm_eval").simple_evaluate(AlwaysError(), tasks=names, task_manager=manager, bootstrap_iters=0)
    return {
        "ids": {name: [sample["doc"]["id"] for sample in done["samples"][name]] for name in names},
        "prompts": {name: [sample["arguments"][0][0] for sample in done["samples"][name]] for name in names},
        "scores": [
            done["results"]["casebook"]["exact_match,verdict"],
            done["results"]["casebook_text"]["acc,none"],
        ],
        "images": seen,
    }


def croissant() -> dict[str, Any]:
    dataset = import_module("mlcroissant").Dataset(jsonld="croissant.json")
    records = [
        {name.split("/")[1]: value.decode() if isinstance(value, bytes) else value for name, value in record.items()}
        for record in dataset.records("scenarios")
    ]
    issues = dataset.metadata.ctx.issues
    rai = ("data_collection", "data_limitations", "personal_sensitive_information", "data_use_cases")
    return {
        "errors": sorted(issues.errors),
        "warnings": sorted(issues.warnings),
        "conforms_to": dataset.metadata.conforms_to,
        "rai": {name: bool(getattr(dataset.metadata, name)) for name in rai},
        "records": rows(records),
    }


def vlmevalkit() -> list[dict[str, Any]]:
    """Read the table as VLMEvalKit does."""
    table = import_module("pandas").read_csv("vlmevalkit/casebook.tsv", sep="\t")
    found: list[dict[str, Any]] = json.loads(table.to_json(orient="records"))
    return found


if __name__ == "__main__":
    read = {
        "hugging_face": hugging_face(),
        "inspect": inspect(),
        "lm_eval": lm_eval(),
        "croissant": croissant(),
        "vlmevalkit": vlmevalkit(),
    }
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(read, file)
