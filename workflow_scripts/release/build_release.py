"""Build the folder that may leave the building: the recipe, the lock, the figures, and of data what its terms allow.

It is built beside, inspected, and only then gets its name: nothing in which something of a restricted set is found
becomes a release. docs/releasing.md says what is in it.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import yaml

from workflow_scripts import command
from workflow_scripts.collections.collection import Card
from workflow_scripts.configuration import card_of as options_of
from workflow_scripts.files import write_folder_beside
from workflow_scripts.imaging.stills import encode_png
from workflow_scripts.provenance import ROOT
from workflow_scripts.release.crate import describe_crate
from workflow_scripts.release.croissant import describe_release
from workflow_scripts.release.figures import draw_released
from workflow_scripts.release.inspect_release import inspect_release
from workflow_scripts.release.known import FEW, what_is_known
from workflow_scripts.release.lock import NAME, read_lock
from workflow_scripts.release.metrics import figures_that_may_leave
from workflow_scripts.release.terms import cards_of, free_models, may_pass, public_names, slug
from workflow_scripts.tables import scenarios
from workflow_scripts.tables.table import read_rows

FINDINGS_NAMED = 10  # findings that the error names
TEMPLATES = "templates/templates.yaml"
OF_DATASET = ("frames", "outlines", "window", "modality", "body_part")  # of a data set: what scenarios rest on
README, TERMS = "README.md.j2", "TERMS.md.j2"


def build_release(results: Path, lock: Path, kinds: Mapping[str, str], release: Path) -> None:
    """Write what may leave of a run into the folder `release`; nothing in it is inspected yet.

    Parameters
    ----------
    results
        The run's results folder.
    lock
        The lock of its scenarios.
    kinds
        The kind of each data set.
    release
        An empty folder.
    """
    locked, cards = read_lock(lock), cards_of(results / "datasets", kinds)
    names = public_names(cards)
    used = list({about.title: about for about in cards.values()}.values())
    shutil.copyfile(lock, _made(release / NAME))
    _write(release / TEMPLATES, _yaml({"templates": locked["templates"]}))
    _write(release / "config.yaml", _yaml(changed_options(locked["run"]["configuration"])))
    for name in ("CITATIONS.md", "CITATIONS.bib"):
        text = (results / "report" / name).read_text(encoding="utf-8")
        _write(release / name, _rename_cited(text, names))
    _write(release / "TERMS.md", _fill(TERMS, cards=used))
    for name, figures in figures_that_may_leave(results / "review", names).items():
        _write(release / "metrics" / name, _json(figures))
    for name, figure in draw_released(release).items():
        _made(release / "figures" / f"{name}.png").write_bytes(encode_png(figure))
    for path in free_models(results / "model", cards):
        folder = release / "models" / path.parent.name
        shutil.copyfile(path.with_suffix(".safetensors"), _made(folder / path.with_suffix(".safetensors").name))
        about = json.loads(path.read_text(encoding="utf-8"))
        about["trained_on"] = {names[name]: count for name, count in about["trained_on"].items()}
        _write(folder / path.name, _json(about))
    _copy_free_scenarios(results / "scenarios", cards, release / "data")
    shutil.copyfile(ROOT / "Snakefile", _made(release / "workflow" / "Snakefile"))
    statuses = [each["status"] for each in locked["scenarios"].values()]
    text = _fill(
        README,
        filled=statuses.count("filled"),
        refused=statuses.count("refused"),
        restricted=not all(map(may_pass, used)),
        few=FEW,
        metrics=(release / "metrics").is_dir(),
        figures=(release / "figures").is_dir(),
        folders=sorted(path.name for path in (release / "data").glob("*")),
        models=sorted(path.name for path in (release / "models").glob("*")),
        sets=_sets(locked["run"]["datasets"]),
        cards=used,
        commit=locked["run"]["commit"],
        versions=locked["run"]["versions"],
    )
    _write(release / "README.md", text)
    _write(release / "croissant.json", _json(describe_release(release, used), sort=False))
    _write(release / "ro-crate-metadata.json", _json(describe_crate(release, used, locked["run"]["versions"])))


def changed_options(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a run that differ from Casebook's own, and where its templates lie."""
    default = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    changed = _difference(configuration, default)
    changed.setdefault("scenarios", {})["templates"] = [f"release/{TEMPLATES}"]
    return changed


def _difference(value: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for key, each in value.items():
        if isinstance(each, dict) and isinstance(default.get(key), dict):
            if inner := _difference(each, default[key]):
                found[key] = inner
        elif key not in default or each != default[key]:
            found[key] = each
    return found


def _sets(datasets: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return, for the README, each data set of a run under a name of its own, with the options its user changed."""
    sets: dict[str, dict[str, Any]] = {}
    for own in datasets:
        kind, default = own["kind"], options_of(own["kind"])
        before = sum(each["kind"] == kind for each in sets.values())
        options = {
            name: json.dumps(own[name], ensure_ascii=False)
            for name in OF_DATASET
            if name in own and own[name] is not None and own[name] != default.get(name)
        }
        sets[f"{kind}-{before + 1}" if before else kind] = {"kind": kind, "options": options}
    return dict(sorted(sets.items()))


def _copy_free_scenarios(folder: Path, cards: Mapping[str, Card], data: Path) -> None:
    """Copy the scenarios of the sets that may be passed on: one folder for all that stands under the same terms."""
    entries = {entry.get("id"): entry for entry in json.loads((folder / "scenarios.json").read_bytes())}
    under: dict[str, list[dict[str, Any]]] = {}
    for row in read_rows(folder / "scenarios.parquet", scenarios.SCHEMA):
        if row["status"] == "filled" and may_pass(cards[row["dataset"]]):
            under.setdefault(slug(cards[row["dataset"]]), []).append(row)
    for name, rows in sorted(under.items()):
        for row in rows:
            for picture in filter(None, (row["image"], row["overlay"])):
                shutil.copyfile(folder / picture["path"], _made(data / name / picture["path"]))
        _write(data / name / "scenarios.json", _json([entries[row["scenario_id"]] for row in rows], sort=False))
        own = {cards[row["dataset"]].title: cards[row["dataset"]] for row in rows}
        _write(data / name / "TERMS.md", _fill(TERMS, cards=list(own.values())))


def _rename_cited(text: str, names: Mapping[str, str]) -> str:
    """Return the citations with the data sets called as they are in a release."""
    lines = []
    for line in text.splitlines():
        if line.startswith("Here as "):
            cited, point, rest = line.removeprefix("Here as ").partition(". ")
            line = f"Here as {', '.join(names.get(name, name) for name in cited.split(', '))}{point}{rest}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _fill(template: str, **values: Any) -> str:
    text = (Path(__file__).parent / template).read_text(encoding="utf-8")
    page = jinja2.Template(
        text, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    return page.render(values)


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _write(path: Path, text: str) -> None:
    _made(path).write_text(text, encoding="utf-8")


def _json(value: Any, sort: bool = True) -> str:
    return json.dumps(value, indent=2, sort_keys=sort, ensure_ascii=False) + "\n"


def _yaml(value: Any) -> str:
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120)
    return text


def main(argv: list[str] | None = None) -> None:
    """Build a release, inspect it, and give it its name."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--results", type=command.existing, required=True, help="the run's results folder")
    arguments.add_argument("--lock", type=command.existing, required=True, help="lock of its scenarios")
    arguments.add_argument("--kinds", type=command.json_argument, required=True, help="kind of each data set as JSON")
    arguments.add_argument("--release", type=Path, required=True, help="folder to write")
    args = arguments.parse_args(argv)
    log = command.start("build_release")
    with write_folder_beside(args.release) as beside:
        build_release(args.results, args.lock, args.kinds, beside)
        findings = inspect_release(beside, what_is_known(args.results, args.kinds, read_lock(args.lock)))
        if findings:
            shown = "".join(f"\n  {finding}" for finding in findings[:FINDINGS_NAMED])
            raise command.Refusal(f"{args.release}: not written: {len(findings)} findings in it:{shown}")
    log.info("%d files, nothing found that may not leave", sum(path.is_file() for path in args.release.rglob("*")))


if __name__ == "__main__":
    main()
