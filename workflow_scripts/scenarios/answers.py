"""What a model answered to scenarios, as it is read: one JSON object a line, and the verdict in its text."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.command import Refusal

_FIRST = re.compile(r"[\W_]*(ERROR|CORRECT)\b", re.IGNORECASE)
_WORD = re.compile(r"(?i:\b(no|not|without)\s+)?\b(ERROR|CORRECT)\b")


@dataclass(frozen=True)
class Scenario:
    """What an answer is held against; scenarios of one `picture` are not independent of each other."""

    scenario_id: str
    truth: str
    category: str
    picture: str


@dataclass(frozen=True)
class Answer:
    """A model's answer; `confidence` is the probability, 0 to 1, that it gives its own answer to be right."""

    line: int
    text: str
    confidence: float | None


def read_verdict(text: str) -> str | None:
    """Return `error` or `correct`: the word an answer begins with, else the one of the two that it has in capitals.

    None where it has both, neither, or a negated one ("no ERROR"), for then it is not known what it says.
    """
    if first := _FIRST.match(text):
        return first[1].lower()
    found = _WORD.findall(text)
    words = {word for _, word in found}
    return words.pop().lower() if len(words) == 1 and not any(negation for negation, _ in found) else None


def readers_verdict(text: str) -> str:
    """Return the verdict as scripts/run_clinical_validation_benchmarks.py of medbilldozer (5887afb) reads it."""
    return "error" if "ERROR" in text.upper() else "correct"


def read_scenarios(path: Path) -> list[Scenario]:
    """Return the scenarios of a scenarios.json, of Casebook or of its reader, in the file's order.

    Raises
    ------
    Refusal
        When the file is not such a list, or the truth of an entry cannot be told.
    """
    try:
        entries = json.loads(_read(path))
    except (ValueError, RecursionError) as error:
        raise Refusal(f"{path}: no JSON, or cut off: {error}") from None
    if not isinstance(entries, list) or not entries:
        raise Refusal(f"{path}: expected a list with scenarios, as in scenarios.json")
    scenarios = [_scenario(entry, f"{path}: entry {place}") for place, entry in enumerate(entries, 1)]
    ids = Counter(scenario.scenario_id for scenario in scenarios)
    if twice := [each for each, count in ids.items() if count > 1]:
        raise Refusal(f"{path}: {', '.join(twice)} stands there more than once; keep one")
    return scenarios


def read_answers(path: Path, scenario_ids: Collection[str]) -> tuple[dict[str, Answer], list[str]]:
    """Return the usable answers by scenario, and a line for each thing in the file that is not as it should be.

    Parameters
    ----------
    path
        JSON objects, one a line, with `id`, `answer` (a text) and, if the model states it, `confidence` (0 to 1).
    scenario_ids
        The scenarios that were asked.

    Raises
    ------
    Refusal
        When the file is not JSONL in UTF-8.
    """
    text = _read(path)
    if text.lstrip().startswith("["):
        raise Refusal(f'{path}: a JSON list; expected one object a line: {{"id": ..., "answer": ...}}')
    given, problems = defaultdict[str, list[Answer]](list), []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            scenario_id, answer, faults = _answer(line, number, scenario_ids)
            problems += [f"{path}, line {number}: {fault}" for fault in faults]
            if scenario_id and answer:
                given[scenario_id].append(answer)
    for scenario_id, several in given.items():
        if len(several) > 1:
            lines = ", ".join(str(answer.line) for answer in several)
            problems.append(
                f"{path}, lines {lines}: {scenario_id} is answered {len(several)} times; which answer is meant"
                " cannot be known, so it counts as not answered; keep one"
            )
    answers = {scenario_id: several[0] for scenario_id, several in given.items() if len(several) == 1}
    if missing := [each for each in scenario_ids if each not in answers]:
        problems.append(
            f"{path}: {len(missing)} of {len(scenario_ids)} scenarios have no usable answer, and each counts as"
            f" wrong: {', '.join(missing)}; add a line for each"
        )
    for scenario_id, answer in answers.items():
        problems += [f"{path}, line {answer.line}: {note}" for note in _notes(scenario_id, answer.text)]
    return answers, problems


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise Refusal(f"{path}: not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise Refusal(f"{path}: cannot be read: {error.strerror}") from None


def _scenario(entry: Any, at: str) -> Scenario:
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
        raise Refusal(f"{at} is no object with an id; expected a list of scenarios")
    shapes = [
        truth for key, truth in (("erroneous_action", "error"), ("appropriate_action", "correct")) if key in entry
    ]
    if len(shapes) != 1:
        raise Refusal(f"{at} ({entry['id']}): expected erroneous_action or appropriate_action, and not both")
    if not isinstance(entry.get("error_category"), str):
        raise Refusal(f"{at} ({entry['id']}): error_category is missing; expected a text, such as Overtreatment")
    metadata = entry.get("metadata")
    picture = metadata.get("image_sha256") if isinstance(metadata, dict) else None
    picture = picture or entry.get("image_file") or entry["id"]
    return Scenario(entry["id"], shapes[0], entry["error_category"], str(picture))


def _answer(line: str, number: int, scenario_ids: Collection[str]) -> tuple[str | None, Answer | None, list[str]]:
    """Return the scenario, its answer and what is wrong with a line; None where it cannot be used."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        return None, None, [f"broken JSON, not used ({getattr(error, 'msg', error)}); write one whole object a line"]
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
        return None, None, ["no object with an id that is a text, not used; write the id of the scenario"]
    scenario_id, text, confidence = entry["id"], entry.get("answer"), entry.get("confidence")
    if scenario_id not in scenario_ids:
        return None, None, [f"{scenario_id!r} is none of the scenarios, not used; correct the id or take the line out"]
    if not isinstance(text, str):
        return None, None, [f"answer of {scenario_id} is {_shown(text)}, not used; expected a text"]
    if confidence is None:
        return scenario_id, Answer(number, text, None), []
    if isinstance(confidence, int | float) and not isinstance(confidence, bool) and 0 <= confidence <= 1:
        return scenario_id, Answer(number, text, float(confidence)), []
    fault = f"confidence of {scenario_id} is {_shown(confidence)}, not used (the answer is); expected a number, 0 to 1"
    return scenario_id, Answer(number, text, None), [fault]


def _notes(scenario_id: str, text: str) -> list[str]:
    ours, readers = read_verdict(text), readers_verdict(text)
    if ours is None:
        return [
            f"the answer to {scenario_id} is neither ERROR nor CORRECT, and counts as wrong (the reader's program takes"
            f" it as {readers.upper()}); begin it with one of the two"
        ]
    if ours != readers:
        return [
            f"the answer to {scenario_id} says {ours.upper()}, but the reader's program takes it as {readers.upper()}:"
            ' it looks for "error" anywhere in the text; leave that word out'
        ]
    return []


def _shown(value: Any) -> str:
    text = "null or missing" if value is None else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
