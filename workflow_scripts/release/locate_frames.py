"""Look for the frames that a release's lock names in one's own data, so that its scenarios take the same cases."""

import json
from pathlib import Path

from workflow_scripts import command
from workflow_scripts.files import write_beside
from workflow_scripts.release.lock import read_lock
from workflow_scripts.release.locked_frames import find_frames


def main(argv: list[str] | None = None) -> None:
    """Write of each scenario of the lock the data sets and cases that have its frame."""
    arguments = command.parser(__doc__)
    arguments.add_argument("--release", type=command.existing, required=True, help="a release's folder, or its lock")
    arguments.add_argument("--datasets", type=command.existing, required=True, help="folder with the data sets' tables")
    arguments.add_argument("--spec", type=command.json_argument, required=True, help="kinds as JSON")
    arguments.add_argument("--cases", type=Path, required=True, help="JSON to write")
    args = arguments.parse_args(argv)
    log = command.start("locate_frames")
    scenarios = read_lock(args.release)["scenarios"]
    sources = {name: each["source_sha256"] for name, each in scenarios.items() if each["status"] == "filled"}
    found = find_frames({name: args.datasets / name for name in args.spec["kinds"]}, set(sources.values()))
    cases = {name: found[source] for name, source in sources.items() if source in found}
    with write_beside(args.cases) as beside:
        beside.write_text(json.dumps(cases, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    log.info("%d of %d frames are in these data", len(cases), len(sources))


if __name__ == "__main__":
    main()
