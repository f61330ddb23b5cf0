"""Write the lock of a run beside its scenarios."""

import json
from pathlib import Path
from typing import Any

from workflow_scripts import command
from workflow_scripts.configuration import first_fault, load_templates
from workflow_scripts.files import write_beside
from workflow_scripts.release.lock import REBUILD, describe_run, lock_scenarios


def make_lock(folder: Path, spec: dict[str, Any]) -> dict[str, Any]:
    """Return the lock of the scenarios in `folder`.

    `spec` has `config`, the merged configuration; `datasets`, of each its kind and options; `templates`, whole; `code`,
    the version of every command.

    Raises
    ------
    Refusal
        When a scenario was changed since it was written: its lock would vouch for what no data give.
    """
    locked, changed = lock_scenarios(folder, {name: own["kind"] for name, own in spec["datasets"].items()})
    for name, file in changed.items():
        raise command.Refusal(f"{folder / file}: {name} was changed since it was written; {REBUILD}")
    lock = {"casebook_lock": 1, "scenarios": locked, "templates": spec["templates"], "run": describe_run(spec)}
    if fault := first_fault("lock.schema.json", lock):
        raise command.Refusal(f"the lock would break its schema: {fault}")
    return lock


def main(argv: list[str] | None = None) -> None:
    """Write the lock."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--scenarios", type=command.existing, required=True, help="folder of the scenarios")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="config, datasets, code as JSON")
    arguments.add_argument("--templates", nargs="+", required=True, help="files or folders of templates")
    arguments.add_argument("--lock", type=Path, required=True, help="JSON to write")
    args = arguments.parse_args(argv)
    log = command.start("write_lock")
    lock = make_lock(args.scenarios, args.spec | {"templates": load_templates(args.templates)})
    with write_beside(args.lock) as beside:
        beside.write_text(json.dumps(lock, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    filled = sum(each["status"] == "filled" for each in lock["scenarios"].values())
    log.info("%d scenarios locked, %d of them filled", len(lock["scenarios"]), filled)


if __name__ == "__main__":
    main()
