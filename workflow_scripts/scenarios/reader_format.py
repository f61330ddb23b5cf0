"""scenarios.json as its reader ships it: a bare list, two shapes of entry, and an update that leaves the rest alone.

Keys and their order are those of benchmarks/clinical_images/scenarios.json in boobootoo2/medbilldozer (5887afb), plus
one key `metadata` at the end.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from workflow_scripts.collections.collection import Card
from workflow_scripts.command import Refusal
from workflow_scripts.configuration import first_fault
from workflow_scripts.files import natural
from workflow_scripts.provenance import canonical_json, sha256
from workflow_scripts.scenarios.wording import TEXTS

_HEAD = ("id", "title", "imaging_modality", "error_category", "severity_score", "description", "ground_truth")
KEYS = {
    "error": (*_HEAD, "erroneous_action", "image_file", "malpractice_risk", "expected_action", "detection_results"),
    "appropriate": (
        *(*_HEAD, "appropriate_action", "image_file", "clinical_decision"),
        *("expected_detection", "detection_results"),
    ),
}
NOTE = "Made by Casebook: the text states only what the case's labels carry, the picture is a frame of the same case."


def make_entry(
    template: Mapping[str, Any], texts: Mapping[str, str], scenario_id: str, image_file: str, metadata: dict[str, Any]
) -> dict[str, Any]:
    """Return one entry in the reader's shape and key order."""
    values = {**template, **texts, "id": scenario_id, "image_file": image_file, "detection_results": []}
    return {**{key: values[key] for key in KEYS[template["kind"]]}, "metadata": metadata}


def make_metadata(
    template: Mapping[str, Any],
    case: Mapping[str, Any],
    grade: Mapping[str, Any],
    card: Card,
    image_sha256: str,
    overlay_file: str | None,
) -> dict[str, Any]:
    """Return what an entry rests on; nothing of it names the case or a file of the data set."""
    return {
        "source": {
            "title": card.title,
            "doi": card.doi,
            "citation": card.citation,
            "redistribution": card.redistribution,
        },
        "label_source": case["label_source"],
        "tirads_system": case["tirads_system"],
        "tirads_level": case["tirads_level"],
        "advice_system": grade["system"],
        "advice": grade["advice"],
        "advice_reason": grade["reason"],
        "age": case["age"],
        "sex": case["sex"],
        "procedure": template.get("procedure"),
        "image_sha256": image_sha256,
        "overlay_file": overlay_file,
        "note": NOTE,
    }


def texts_sha256(entry: Mapping[str, Any]) -> str:
    """Return the hash of an entry's texts."""
    return sha256(canonical_json({name: entry[name] for name in TEXTS if name in entry}))


def write_entries(entries: Sequence[dict[str, Any]], existing: bytes | None, name: str = "") -> bytes:
    """Return scenarios.json in UTF-8: the entries alone, or put into an existing file called `name`.

    Raises
    ------
    Refusal
        When an entry breaks config/schemas/scenarios.schema.json, or the existing file cannot be read with certainty.
    """
    entries = sorted(entries, key=lambda entry: natural(entry["id"]))
    if fault := first_fault("scenarios.schema.json", entries):
        raise Refusal(f"scenarios.json would break its schema: {fault}")
    if existing is None:
        return (json.dumps(entries, indent=4, ensure_ascii=False) + "\n").encode()
    try:
        text = existing.decode()
    except UnicodeDecodeError:
        raise Refusal(f"{name}: not UTF-8; save it as UTF-8") from None
    return _updated(text, entries, name).encode()


def _updated(text: str, entries: Sequence[dict[str, Any]], name: str) -> str:
    """Return the text of a list with the entries of a known id replaced, the others appended, all else as it was."""
    opening, spans, closing = _find_entries(text, name)
    new = {entry["id"]: entry for entry in entries}
    newline = (re.search(r"\r\n|\n|\r", text) or ["\n"])[0]
    parts, done = [text[:opening]], opening
    for start, end, entry in spans:
        if entry["id"] in new:
            parts += [text[done:start], _in_style(new.pop(entry["id"]), text, start)]
            done = end
    if spans:
        between, end = text[opening : spans[0][0]], spans[-1][1]
        parts.append(text[done:end])
        parts += [f",{between}{_in_style(entry, text, spans[-1][0])}" for entry in new.values()]
        parts.append(text[end:])
    elif new:
        listed = json.dumps(list(new.values()), indent=4, ensure_ascii=False).replace("\n", newline)
        parts += [listed[1:-1], text[closing:]]
    else:
        parts.append(text[done:])
    return "".join(parts)


def _find_entries(text: str, name: str) -> tuple[int, list[tuple[int, int, dict[str, Any]]], int]:
    """Return the place after `[`, each object of the list with where it starts and ends, and the place of `]`."""
    decoder, spans = json.JSONDecoder(), list[tuple[int, int, dict[str, Any]]]()

    def after_blanks(place: int) -> int:
        while text[place : place + 1] and text[place] in " \t\r\n":
            place += 1
        return place

    place = after_blanks(1 if text.startswith("\ufeff") else 0)
    if text[place : place + 1] != "[":
        raise Refusal(f"{name}: not a JSON list; expected the list of scenarios, as in scenarios.json")
    opening = place + 1
    place = after_blanks(opening)
    more = text[place : place + 1] != "]"
    while more:
        try:
            entry, end = decoder.raw_decode(text, place)
        except (json.JSONDecodeError, RecursionError):
            line = text.count("\n", 0, place) + 1
            raise Refusal(
                f"{name}: entry {len(spans) + 1}, which starts in line {line}, is broken or cut off"
            ) from None
        if not (isinstance(entry, dict) and isinstance(entry.get("id"), str)):
            raise Refusal(f"{name}: entry {len(spans) + 1} is no object with an id; expected a list of scenarios")
        spans.append((place, end, entry))
        place = after_blanks(end)
        more = text[place : place + 1] == ","
        if more:
            place = after_blanks(place + 1)
    if text[place : place + 1] != "]" or after_blanks(place + 1) != len(text):
        raise Refusal(f"{name}: the list does not end where it should, after entry {len(spans)}; is the file cut off?")
    ids = Counter(entry["id"] for _, _, entry in spans)
    if twice := sorted(each for each, count in ids.items() if count > 1):
        raise Refusal(f"{name}: {', '.join(twice)} stands there more than once; keep one")
    return opening, spans, place


def _in_style(entry: Mapping[str, Any], text: str, start: int) -> str:
    """Return an entry indented like the object that starts at `start`, and with its line ends."""
    inside = re.compile(r"\{[ \t]*(\r\n|\n|\r)([ \t]*)").match(text, start)
    if inside is None:
        return json.dumps(entry, ensure_ascii=False)
    line = text[max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1 : start]
    base = line if not line.strip() else ""
    written = json.dumps(entry, ensure_ascii=False, indent=inside[2].removeprefix(base))
    return written.replace("\n", inside[1] + base)
