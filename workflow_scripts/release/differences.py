"""What differs between two runs, by their locks, and what of it can explain that a scenario came out otherwise."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from workflow_scripts.provenance import canonical_json

# What a result rests on: how the names of the facts of a run begin. {kind} is that of the scenario's data set.
OPTIONS = (
    *("data sets of kind ", "option limit", "option preprocess.overlays", "option preprocess.text"),
    *("option scenarios.", "template "),
)
"""What a user can set, and any scenario rests on."""
READS = (
    *("version av", "version ffmpeg", "version h5py", "version hdf5", "version nibabel", "version numpy"),
    *("version opencv", "version openslide", "version pydicom", "version python-gdcm", "version of the"),
    *("code frames.extract_frames", "code that reads {kind}"),
    *("data sets of kind {kind}", "option limit"),
)
DRAWS = (
    *("version numpy", "version opencv", "version scikit-image", "version scipy", "version of the"),
    *("code frames.extract_frames", "code preprocess.preprocess_frames", "code scenarios.write_scenarios"),
    *("data sets of kind {kind}", "option preprocess.overlays"),
    *("template {template}: frame", "template {template}: window"),
)
SAYS = (
    *(
        "code ingest.index_cases",
        "code tirads.grade_nodules",
        "code scenarios.write_scenarios",
        "code that reads {kind}",
    ),
    *("card of {kind}", "template {template}: "),
)
CHOOSES = (
    *("code ingest.index_cases", "code preprocess.preprocess_frames", "code scenarios.", "code tirads.grade_nodules"),
    *("code that reads ", "card of ", "version text", *OPTIONS),
)
LONGEST = 40  # characters: longer values are named and not shown


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, str]:
    """Return what differs between the lock of a release and one's own: the name of each fact, and how, in words."""
    both = _kinds(there) & _kinds(here)
    theirs, ours = dict(_facts(there, both)), dict(_facts(here, both))
    return {
        name: _in_words(name, theirs.get(name, "nothing"), ours.get(name, "nothing"))
        for name in sorted(theirs.keys() | ours.keys())
        if theirs.get(name) != ours.get(name)
    }


def bearing_on(differ: Mapping[str, str], what: Iterable[str], template: str = "", kind: str = "") -> list[str]:
    """Return in words, of what differs, that on which `what` (READS, DRAWS …) rests."""
    starts = tuple(each.format(template=template, kind=kind) for each in what)
    return [how for name, how in differ.items() if name.startswith(starts)]


def _kinds(lock: Mapping[str, Any]) -> set[str]:
    return {own["kind"] for own in lock["run"]["datasets"]}


def _facts(lock: Mapping[str, Any], kinds: set[str]) -> Iterator[tuple[str, str]]:
    """Yield all that a lock says of its run and its templates, and its value; `kinds` are those of both runs."""
    run = lock["run"]
    yield from (fact for fact in _flat("option ", run["configuration"]) if fact[0].startswith(OPTIONS))
    yield from _flat("version ", run["versions"])
    yield "version of the pinned dependencies", run["lock_sha256"]
    for name, code in run["code"].items():
        yield f"code {name}", code
    for template in lock["templates"]:
        for name, value in template.items():
            yield f"template {template['name']}: {name}", canonical_json(value)
    for kind in _kinds(lock):
        of_kind = [own for own in run["datasets"] if own["kind"] == kind]
        yield f"data sets of kind {kind}", str(len(of_kind))
        for name in {name for own in of_kind for name in own if kind in kinds} - {"kind"}:
            about = {"card": f"card of {kind}", "code": f"code that reads {kind}"}
            values = sorted({canonical_json(own.get(name)) for own in of_kind})
            yield about.get(name, f"data sets of kind {kind}: {name}"), ", ".join(values)


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(name + key if name.endswith(" ") else f"{name}.{key}", each)
    else:
        yield name, canonical_json(value)


def _in_words(name: str, there: str, here: str) -> str:
    hidden = name.startswith(("code ", "card ")) or max(len(there), len(here)) > LONGEST
    return name if hidden else f"{name}: {there} there, {here} here"
