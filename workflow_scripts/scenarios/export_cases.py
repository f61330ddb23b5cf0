"""What every export of the scenarios rests on: entries and pictures, checked, and a question that gives no answer.

The question is a scenario's description and the decision in it. What is true, and what should have been done, stands
in other columns; a question that judges its decision, or says what should have been done, is refused.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from workflow_scripts.command import Refusal
from workflow_scripts.configuration import first_fault
from workflow_scripts.imaging.stills import UnreadablePicture, decode_picture
from workflow_scripts.provenance import pixel_sha256
from workflow_scripts.tables import scenarios
from workflow_scripts.tables.table import IMAGE, column, read_rows

ERROR, CORRECT = "ERROR", "CORRECT"
ASKED = "Does this decision fit what the picture and the text show?"
HOW_TO_ANSWER = f"Begin your answer with {CORRECT} if the decision fits the case, or with {ERROR} if it does not."
NOT_RECORDED = "not recorded"
GIVEAWAY = re.compile(
    r"\b(errors?|erroneous(ly)?|mistakes?|mistaken(ly)?|wrong(ly)?|(in)?correct(ly)?|(in)?appropriate(ly)?|rightly"
    r"|unnecessar(y|ily)|needless(ly)?|unwarranted|unjustified|unindicated|not indicated|(over|under)treat(ed|ment)"
    r"|misdiagnos\w*|malpractice)\b",
    re.IGNORECASE,
)
"""Words that judge the decision; in a question they give the answer."""
ANSWERS = ("expected_action", "clinical_decision", "expected_detection", "malpractice_risk")

COLUMNS = pa.schema(
    [
        column("id", pa.string(), "the scenario's id, as in scenarios.json"),
        column("image", IMAGE, "the picture, PNG"),
        column("question", pa.string(), "the case and the decision, asked neutrally"),
        column("answer", pa.string(), "ERROR: the decision does not fit the case; CORRECT: it does"),
        column("category", pa.string(), "the category of the error, or Correct Treatment"),
        column("severity", pa.int32(), "how grave the error is, 1 to 10; 0: none"),
        column("modality", pa.string(), "how the picture was taken"),
        column("ground_truth", pa.string(), "what the case's labels carry"),
        column("explanation", pa.string(), "what should have been done, or why the decision is right"),
        column("age", pa.int32(), "years at examination, where the labels say it"),
        column("sex", pa.string(), "female or male, where the labels say it"),
        column("label_source", pa.string(), "the strongest of the case's labels"),
        column("source", pa.string(), "the data set of the case"),
        column("doi", pa.string(), "the data set's DOI"),
        column("citation", pa.string(), "what to cite"),
        column(
            "redistribution", pa.string(), "whether pictures and rows may be passed on: allowed, unclear, forbidden"
        ),
        column("image_sha256", pa.string(), "hash of the picture's decoded pixels with their type and shape"),
    ]
)


@dataclass(frozen=True)
class Case:
    """One scenario that Casebook wrote: its entry in scenarios.json, and where its picture lies."""

    entry: dict[str, Any]
    image: Path

    @property
    def id(self) -> str:
        """The scenario's id, the same in every export."""
        return str(self.entry["id"])

    @property
    def image_name(self) -> str:
        """The picture's file name in every export."""
        return f"{self.id}.png"

    @property
    def metadata(self) -> dict[str, Any]:
        """What the entry rests on."""
        return dict(self.entry["metadata"])

    @property
    def source(self) -> dict[str, Any]:
        """The data set of the case, and its terms."""
        return dict(self.metadata["source"])

    @property
    def is_error(self) -> bool:
        """Whether the decision is an error."""
        return "erroneous_action" in self.entry

    @property
    def decision(self) -> str:
        """What was ordered."""
        return str(self.entry["erroneous_action" if self.is_error else "appropriate_action"])

    @property
    def told(self) -> str:
        """The case and the decision; no cell of a spreadsheet takes it for a formula, however the texts begin."""
        return f"Clinical case: {self.entry['description']}\n\nDecision: {self.decision}"

    @property
    def tells_truth(self) -> bool:
        """Whether the question repeats the ground truth: then the picture is not needed to answer it."""
        return self.entry["ground_truth"].strip(" .") in self.told

    @cached_property
    def row(self) -> dict[str, Any]:
        """The scenario as a row of `COLUMNS`, without its picture."""
        return {
            "id": self.id,
            "question": f"{self.told}\n\n{ASKED}",
            "answer": ERROR if self.is_error else CORRECT,
            "category": self.entry["error_category"],
            "severity": self.entry["severity_score"],
            "modality": self.entry["imaging_modality"],
            "ground_truth": self.entry["ground_truth"],
            "explanation": self.entry["expected_action" if self.is_error else "clinical_decision"],
            **{name: self.metadata[name] for name in ("age", "sex", "label_source")},
            "source": self.source["title"],
            **{name: self.source[name] for name in ("doi", "citation", "redistribution")},
            "image_sha256": self.metadata["image_sha256"],
        }


def read_cases(path: Path) -> list[Case]:
    """Return the scenarios of a scenarios.json that Casebook wrote, in the file's order; others are left out.

    With the table of scenarios beside it, those that its run did not write are left out as well.

    Raises
    ------
    Refusal
        When the file is no such list, an entry breaks config/schemas/scenarios.schema.json, an id stands there twice, a
        question gives its answer away, or a picture is missing or another than the entry names.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
        json.dumps(found, ensure_ascii=False).encode()
    except OSError as error:
        raise Refusal(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise Refusal(f"{path}: no JSON in UTF-8, or cut off: {error}") from None
    if not (isinstance(found, list) and all(isinstance(entry, dict) for entry in found)):
        raise Refusal(f"{path}: expected a list with scenarios, as write_scenarios writes it")
    own = [entry for entry in found if isinstance(entry.get("metadata"), dict) and "image_sha256" in entry["metadata"]]
    if (table := path.with_suffix(".parquet")).is_file():  # of an earlier run's entries, the pictures are elsewhere
        written = {row["scenario_id"] for row in read_rows(table, scenarios.SCHEMA) if row["status"] == "filled"}
        own = [entry for entry in own if entry.get("id") in written]
    for place, entry in enumerate(own, 1):
        if fault := first_fault("scenarios.schema.json", [entry]):
            at = entry.get("id", f"entry {place} with metadata")
            raise Refusal(f"{path}: {at}: {fault.removeprefix('0.')}; write the scenarios again")
    ids = Counter(entry["id"] for entry in own)
    if twice := [each for each, count in ids.items() if count > 1]:
        raise Refusal(f"{path}: {', '.join(twice)} stands there more than once; keep one")
    cases = [Case(entry, path.parent / entry["image_file"]) for entry in own]
    for case in cases:
        check_question(case)
        check_picture(case)
    return cases


def check_question(case: Case) -> None:
    """Check that the question does not give its answer.

    Raises
    ------
    Refusal
        With the text and the words that give it away.
    """
    texts = {"description": case.entry["description"], "the decision": case.decision}
    texts |= {"procedure.service": procedure["service"]} if (procedure := case.metadata["procedure"]) else {}
    for name, text in texts.items():
        if word := GIVEAWAY.search(text):
            raise Refusal(
                f"{case.id}: {name} says {word[0]!r}, which gives the answer away; take the word out of its template"
            )
        if said := [key for key in ANSWERS if case.entry.get(key, "\0").strip(" .") in text]:
            raise Refusal(f"{case.id}: {name} holds the whole of {said[0]}; take it out of its template")


def check_picture(case: Case) -> None:
    """Check that the picture is the one that the entry names.

    Raises
    ------
    Refusal
        When it is missing, no PNG, or of other pixels.
    """
    try:
        data = case.image.read_bytes()
        same = data[:4] == b"\x89PNG" and pixel_sha256(decode_picture(data)) == case.metadata["image_sha256"]
    except OSError as error:
        raise Refusal(f"{case.image}: cannot be read: {error.strerror}; write the scenarios again") from None
    except UnreadablePicture:
        same = False
    if not same:
        raise Refusal(f"{case.image}: not the picture that {case.id} names; write the scenarios again")
