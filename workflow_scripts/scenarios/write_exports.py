"""Write the scenarios in the formats that others read: medbilldozer's programs, evaluation harnesses, Hugging Face.

What Casebook wrote into scenarios.json is exported, under the same ids everywhere; entries of others are not. Pictures
keep the terms of their data sets in every format. docs/exports.md says how each is loaded.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts import command
from workflow_scripts.files import write_folder_beside
from workflow_scripts.provenance import file_sha256
from workflow_scripts.scenarios.export_cases import Case, read_cases
from workflow_scripts.scenarios.export_croissant import describe_cases
from workflow_scripts.scenarios.export_harnesses import PARQUET, write_harnesses
from workflow_scripts.scenarios.export_reader import write_reader

CROISSANT = "croissant.json"


def write_exports(cases: Sequence[Case], folder: Path) -> None:
    """Write every format under `folder`, which must be empty or not there: the same scenarios give the same bytes."""
    write_reader(cases, folder / "reader")
    write_harnesses(cases, folder, folder / "reader" / "selected")
    described = describe_cases(cases, PARQUET, file_sha256(folder / PARQUET))
    (folder / CROISSANT).write_text(json.dumps(described, indent=2) + "\n", encoding="ascii")


def main(argv: list[str] | None = None) -> None:
    """Write the exports of one scenarios.json; an earlier folder of exports is replaced when all went well."""
    arguments = command.parser(__doc__)
    arguments.add_argument(
        "--scenarios", type=command.existing, required=True, help="scenarios.json, with its pictures beside it"
    )
    arguments.add_argument("--out", type=Path, required=True, help="folder to write")
    args = arguments.parse_args(argv)
    log = command.start("write_exports")
    if args.out.exists() and not (args.out / CROISSANT).is_file() and (args.out.is_file() or any(args.out.iterdir())):
        raise command.Refusal(f"{args.out}: holds something other than exports; name another folder")
    cases = read_cases(args.scenarios)
    try:
        with write_folder_beside(args.out) as beside:
            write_exports(cases, beside)
    except OSError as error:
        raise command.Refusal(f"{args.out}: cannot be written: {error.strerror or error}") from None
    log.info("%d scenarios exported", len(cases))
    remarks = {
        "no procedure, so no bill in their challenge file": [
            case.id for case in cases if not case.metadata["procedure"]
        ],
        "the whole ground truth in their question, so no picture is needed": [
            case.id for case in cases if case.tells_truth
        ],
    }
    for remark, ids in remarks.items():
        if ids:
            log.warning("%d with %s: %s", len(ids), remark, ", ".join(ids[:5]) + (", …" if len(ids) > 5 else ""))


if __name__ == "__main__":
    main()
