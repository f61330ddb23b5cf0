"""Read from the text of the workflow what each rule says, reads, writes and takes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.provenance import ROOT

RULE = re.compile(r"^(?:rule|checkpoint) (\w+):\n((?:    .*\n|\n)+)", re.MULTILINE)
PATH = re.compile(
    r"^        (\w+)="
    r"|\"((?:<results>|\{RESULTS\})/[^\"]+)\""
    r"|config\[\"(\w+)\"\]\[\"(\w+)\"\]"
    r"|DATASETS\[wildcards\.dataset\]\[\"(\w+)\"\]",
    re.MULTILINE,
)
"""A keyword, a path of results, an option, an option of a data set."""


@dataclass(frozen=True)
class Rule:
    """What the file of a rule says of it."""

    name: str
    file: Path
    about: str
    input: list[str]
    output: list[tuple[str, str]]
    threads: str
    memory: str
    local: bool
    wild: bool  # its files have wildcards: it is no target


def read_rules() -> list[Rule]:
    """Return every rule of the workflow, in the order in which the Snakefile includes their files."""
    order = re.findall(r'^include: "(rules/.+)"', (ROOT / "Snakefile").read_text(encoding="utf-8"), re.MULTILINE)
    files = {ROOT / name: (ROOT / name).read_text(encoding="utf-8") for name in order}
    # Names that stand for paths: WEIGHTS, QUALITY, ESTIMATOR … and GIVEN.
    named = dict(
        re.findall(r"^([A-Z]+) = (.*(?:<results>/|\[\"weights\"\]).*)", "\n".join(files.values()), re.MULTILINE)
    )
    return [_rule(path, match, named) for path, text in files.items() for match in RULE.finditer(text)]


def _rule(file: Path, match: re.Match[str], named: Mapping[str, str]) -> Rule:
    """Read one rule from its text."""
    body = match[2]
    parts = dict(re.findall(r"^    (\w+):(.*\n(?:        .*\n|\n)*)", body, re.MULTILINE))
    about = re.search(r'"""(.*?)"""', body, re.DOTALL)
    threads = parts.get("threads", "1").strip()
    memory = re.search(r"memory\(([\d.]+)\)", parts.get("resources", ""))
    return Rule(
        name=match[1],
        file=file,
        about=about[1].strip() if about else "",
        input=list(dict.fromkeys(path for _, path in _paths(parts.get("input", ""), named))),
        output=_paths(parts.get("output", ""), named),
        threads=threads if threads.isdigit() else "`" + ".".join(re.findall(r'"(\w+)"', threads)) + "`",
        memory=memory[1] if memory else "",
        local="localrule" in parts,
        wild="{" in parts.get("log", ""),
    )


def _paths(text: str, named: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the paths that a part of a rule names, each with its keyword; of an option that names a file, its name."""
    for name, meant in sorted(named.items(), key=lambda item: "<results>/" not in item[1]):  # these may name the other
        text = meant.join(re.split(rf"(?<!if )(?<!not )\b{name}\b", text))
    found, keyword = list[tuple[str, str]](), ""
    for key, path, section, option, own in PATH.findall(text):
        keyword = key or keyword
        if path:
            path = path.replace("{RESULTS}", "<results>").replace("{wildcards.", "{").replace("{MODEL}", "{model}")
            found.append((keyword, f"<results>/{path.partition('/')[2]}"))
        elif section:
            found.append((keyword, f"{section}.{option}"))
        elif own and own != "extract":
            found.append((keyword, f"datasets.<name>.{own}"))
    return found
