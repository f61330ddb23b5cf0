"""The advice for one nodule in sentences, in English and Chinese: level, why, rule for the size, advice, how sure.

The sentences are in advice.yaml, with the stops and commas of their language.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from workflow_scripts.tirads.engine import Grade
from workflow_scripts.tirads.size_rule import FNA, FOLLOW_UP, NO_ACTION, NO_FNA, UNDETERMINED
from workflow_scripts.tirads.systems import NOT_STATED, Level, System

LANGUAGES = ("en", "zh")
SIGNS = {">=": "≥", ">": ">"}
ADVICE = {FNA: "fna", NO_ACTION: "none", NO_FNA: "no_fna"}


@cache
def templates() -> Mapping[str, Any]:
    """Return the sentences by language, and the words of the tables in the other one."""
    found: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_name("advice.yaml").read_text(encoding="utf-8"))
    return found


def advise_in_words(system: System, grade: Grade, language: str, turn: tuple[int, int] | None = None) -> str:
    """Return the advice in one paragraph.

    Parameters
    ----------
    system
        The system that the grade is of.
    grade
        The grade.
    language
        One of LANGUAGES.
    turn
        Its place among the nodules of its patient for which the same is advised, and how many they are; None where
        there is no other, or the guideline has no rule for several.
    """
    return _Writer(system, grade, language).write(turn)


class _Writer:
    def __init__(self, system: System, grade: Grade, language: str) -> None:
        self.system, self.grade = system, grade
        self.text: Mapping[str, str] = templates()[language]
        self.words: Mapping[str, str] = templates()["words"].get(language, {})
        self.language = language

    def write(self, turn: tuple[int, int] | None) -> str:
        grade, text = self.grade, self.text
        rules = {self.size_rule(row) for row in grade.rows}
        said = [self.head(), self.why()]
        if grade.level is not None and len(rules) == 1 and (rule := rules.pop()):
            said.append(text["size"].format(rule=rule, diameter=self.diameter()))
        any_level = grade.level is None and grade.advice != UNDETERMINED
        said.append(text["advised_any" if any_level else "advised"].format(advice=self.advice()))
        if turn and (limit := self.system.several.get(grade.advice)):
            said.append(text["turn"].format(turn=turn[0], n=turn[1], limit=limit))
        said.append(self.how_sure())
        if self.system.not_confirmed:
            said.append(text["not_confirmed"])
        said.append(text["closing"])
        return ("" if self.language == "zh" else " ").join(said)

    def head(self) -> str:
        grade, text = self.grade, self.text
        if grade.level is not None:
            row = grade.rows[0]
            meaning = self.word(row.meaning)
            return text["level"].format(system=grade.system, level=grade.level, meaning=meaning, risk=row.risk_percent)
        levels = text["levels_join"].join(sorted({row.name for row in grade.rows}))
        possible = text["possible"].format(levels=levels) if levels else ""
        return text["open"].format(system=grade.system) + possible + text["stop"].strip()

    def why(self) -> str:
        grade, text = self.grade, self.text
        if grade.level is None:
            return text["lacking"].format(missing=self.labels(grade.missing))
        if not self.system.by_points:
            patterns = dict.fromkeys(self.word(row.pattern) for row in grade.rows)
            return text["pattern"].format(pattern=text["pattern_join"].join(patterns))
        total = text["sum_join"].join(self.count(points) for points in grade.sums)
        if not grade.scored:
            return text["total"].format(total=total)
        terms = [
            text["term"].format(label=self.word(self.system.descriptors[name].label), points=points)
            for name, points in grade.scored.items()
        ]
        return text["points"].format(terms=" + ".join(terms), total=total)

    def size_rule(self, row: Level) -> str:
        """Say at which sizes a row calls for what; nothing where its system says nothing of sizes."""
        text, sign = self.text, SIGNS.get(str(self.system.comparison), "")
        if row.fna_mm == NOT_STATED:
            return ""
        parts = [text["rule_no_fna"] if row.fna_mm is None else text["rule_fna"].format(sign=sign, mm=row.fna_mm)]
        if row.selective:
            when = self.word(str(row.selective["when"]))
            sign_then = SIGNS[str(row.selective["comparison"])]
            sentence = text["rule_selective" if row.selective["mm"] else "rule_selective_any"]
            parts.append(sentence.format(sign=sign_then, mm=row.selective["mm"], when=when))
        if row.follow_up_mm == NOT_STATED:
            parts.append(text["rule_silent"])
        elif row.follow_up_mm is None:
            parts.append(text["rule_no_follow_up"])
        elif row.follow_up_mm == 0:
            parts.append(text["rule_follow_up_any"])
        else:
            parts.append(text["rule_follow_up"].format(sign=sign, mm=row.follow_up_mm))
        return text["rule_join"].join(parts)

    def diameter(self) -> str:
        grade, text = self.grade, self.text
        if grade.largest_mm is None:
            return text["diameter_none"]
        return text["diameter" if grade.sized else "diameter_part"].format(mm=f"{grade.largest_mm:g}")

    def advice(self) -> str:
        grade, text = self.grade, self.text
        if grade.advice == UNDETERMINED:
            return self.unclear()
        if grade.advice != FOLLOW_UP:
            return text[ADVICE[grade.advice]]
        schedules = {row.schedule for row in grade.rows}
        if len(schedules) > 1:
            return text["follow_up_open"]
        return text["follow_up"].format(schedule=self.word(str(schedules.pop())))

    def unclear(self) -> str:
        """Say on what it depends that is not known."""
        grade, text = self.grade, self.text
        if any(row.fna_mm == NOT_STATED for row in grade.rows):
            return text["unclear_rule"]
        if grade.level is None:
            return text["unclear_level"]
        if len({self.size_rule(row) for row in grade.rows}) > 1:
            return text["unclear_pattern"]
        if not grade.sized:
            return text["unclear_size"]
        return text["unclear_when"].format(when=self.word(str(grade.rows[0].selective["when"])))

    def how_sure(self) -> str:
        grade, text = self.grade, self.text
        if grade.level is None:
            return text["unsure"]
        if len(grade.scored) == 1:  # of a descriptor that ends the counting
            return text["alone"]
        if grade.scored or not grade.doubtful:
            return text["known"]
        return text["doubtful"].format(doubtful=self.labels(grade.doubtful))

    def labels(self, names: Any) -> str:
        return self.text["missing_join"].join(self.word(self.system.descriptors[name].label) for name in names)

    def count(self, number: int) -> str:
        """Return a number with its unit: `4 points`, `4 分`."""
        unit = self.words.get(self.system.unit)
        return unit.format(n=number) if unit else self.system.count(number)

    def word(self, english: str) -> str:
        """Return a word of a table in the language that is written."""
        return self.words[english] if self.words else english
