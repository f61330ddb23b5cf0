"""What the texts of a thyroid screening record say, in ACR's terms and in one word, where they say it clearly.

Words are Chinese and English; full-width forms count as their usual ones. A word that is negated in its clause does not
count. Two terms that exclude each other give none. Terms and points: ACR TI-RADS, Tessler et al., JACR 2017,
doi:10.1016/j.jacr.2017.01.046. There, "well defined" (边界清晰) is no smooth margin, for a lobulated one can be it too;
a vertical position (垂直位) is a sign of C-TIRADS, which asks for no transverse plane.
"""

import re
import unicodedata
from collections.abc import Iterator
from datetime import date

SIDES = {"left": "左|\\bleft\\b|双|两|\\bboth\\b|bilateral", "right": "右|\\bright\\b|双|两|\\bboth\\b|bilateral"}
CLAUSE = re.compile(r"[,，;；。!！\n]|\.\s")
NEGATED = re.compile(r"(?:无(?!回声)|未|没有|否认|非(?!常)|排除|不[伴是像]|\b(?:no|not|without)\b)[^,;。]*$")
NOTHING = re.compile(
    r"(?:无(?!回声)|未见|未及|未探及|没有)(?:明显|明确)?(?:异常|结节|占位|肿物|病变|特殊)?(?:回声|结节|病灶)?"
    r"|正常|normal|no nodules?"
)

NO_CALCIFICATION = "none or large comet-tail artifacts"  # who writes so says nothing of comet tails
# Term -> points; then pattern -> term, the longer before what it contains. None: said, but not which; "": not said.
POINTS: dict[str, dict[str, int]] = {
    "composition": {
        "cystic or almost completely cystic": 0,
        "spongiform": 0,
        "mixed cystic and solid": 1,
        "solid or almost completely solid": 2,
    },
    "echogenicity": {"anechoic": 0, "hyperechoic": 1, "isoechoic": 1, "hypoechoic": 2, "very hypoechoic": 3},
    "shape": {"wider-than-tall": 0, "taller-than-wide": 3},
    "margin": {"smooth": 0, "ill-defined": 0, "lobulated or irregular": 2, "extra-thyroidal extension": 3},
    "foci": {
        "none": 0,
        NO_CALCIFICATION: 0,
        "large comet-tail artifacts": 0,
        "macrocalcifications": 1,
        "peripheral (rim) calcifications": 2,
        "punctate echogenic foci": 3,
    },
}
PATTERNS: dict[str, tuple[tuple[str, str | None], ...]] = {
    "composition": (
        (r"几乎完?全?囊性|almost completely cystic", "cystic or almost completely cystic"),
        (r"几乎完?全?实性|almost completely solid", "solid or almost completely solid"),
        (
            r"[实囊]性为主|囊实性?|实囊性?|混合性|部分囊性|囊性?变|predominantly (?:solid|cystic)",
            "mixed cystic and solid",
        ),
        (r"mixed(?: cystic and solid)?|partially cystic", "mixed cystic and solid"),
        (r"海绵[状样]|spongiform", "spongiform"),
        (r"囊性|cystic", "cystic or almost completely cystic"),
        (r"实质?性|solid", "solid or almost completely solid"),
    ),
    "echogenicity": (
        (r"[低无]回声声?晕|声晕|halo", ""),
        (r"(?:极|显著|明显)低回声|(?:very|marked(?:ly)?) hypoechoic", "very hypoechoic"),
        (r"[等高低无][-~/、及至或和]*[等高低无](?:混合)?回声|混[合杂]回声|mixed echo|heteroechoic", None),
        (r"无回声|anechoic", "anechoic"),
        (r"等回声|isoechoic", "isoechoic"),
        (r"高回声|hyperechoic", "hyperechoic"),
        (r"低回声|hypoechoic", "hypoechoic"),
    ),
    "shape": (
        (r"纵横比[^\d<>≤≥不未小]{0,4}(?:>|大于)\s*1|高大于宽|taller[- ]than[- ]wide", "taller-than-wide"),
        (r"纵横比\D{0,4}(?:<=?|≤|小于|不大于)\s*1(?![.\d])|宽大于高|wider[- ]than[- ]tall", "wider-than-tall"),
    ),
    "margin": (
        (r"(?:突破|穿破|侵[犯及])(?:甲状腺)?[被包]膜|腺外侵犯|包膜外侵|extra-?thyroidal", "extra-thyroidal extension"),
        (
            r"[不欠](?:光[整滑]|规[整则])|边缘不[整齐]|分叶|毛刺|成角|lobulat\w*|irregular|spiculat\w*",
            "lobulated or irregular",
        ),
        (r"边[界缘](?:[不欠]清[晰楚]?|模糊)|ill[- ]defined", "ill-defined"),
        (r"光[整滑]|边缘(?:规[整则]|整齐)|smooth", "smooth"),
    ),
    "foci": (
        (r"(?:无|未见|未及|未探及|没有)(?:明显|明确)?强回声|\bno echogenic foci", "none"),
        (r"(?:无|未见|未及|未探及|没有)(?:明显|明确)?钙化|\bno calcifications?", NO_CALCIFICATION),
        (r"large comet[- ]tail artifacts?", "large comet-tail artifacts"),
        (
            r"微小?钙化|点状(?:[强高]回声|钙化)|microcalcifications?|punctate echogenic foc[iu]s?",
            "punctate echogenic foci",
        ),
        (r"(?:[砂沙][砾粒]|针尖)[样状]?(?:[强高]回声|钙化)", "punctate echogenic foci"),
        (r"(?:环[状形]|周边|边缘|蛋壳[样状]?)(?:强回声|钙化)", "peripheral (rim) calcifications"),
        (r"(?:peripheral|rim|eggshell) calcifications?", "peripheral (rim) calcifications"),
        (r"(?:粗大?|块状)(?:强回声|钙化)|macrocalcifications?", "macrocalcifications"),
        (r"钙化|强回声|calcifications?|echogenic foc[iu]s?|彗星?尾|comet[- ]tail", None),
    ),
}

# System -> its levels, as they stand elsewhere in Casebook. What "4" means differs from one to the next.
SYSTEMS: dict[str, tuple[str, ...]] = {
    "ACR 2017": ("TR1", "TR2", "TR3", "TR4", "TR5"),
    "C-TIRADS 2020": ("1", "2", "3", "4A", "4B", "4C", "5", "6"),
    "Kwak 2011": ("2", "3", "4a", "4b", "4c", "5"),
    "EU-TIRADS 2017": ("1", "2", "3", "4", "5"),
    "K-TIRADS 2016": ("1", "2", "3", "4", "5"),
    "K-TIRADS 2021": ("1", "2", "3", "4", "5"),
}
ROMAN = {"I": "1", "II": "2", "III": "3", "IV": "4", "V": "5", "VI": "6"}

# In one word. A low chance of malignancy, or one that cannot be excluded, is none of these; nor is a family history.
VAGUE = re.compile(
    r"良恶性|癌(?:根治)?术后|[恶良]性的?(?:可能性?|风险|概率)[较很极]?(?:小|低|不大)|癌症?家族史"
    r"|low risk of malignancy|(?:biopsy|fna[bc]?|aspiration|follow-up) (?:is )?not\b"
)
UNSURE = re.compile(r"\?|待[排定除]|[不未]能?(?:除外|排除)|性质不明|良恶性|indeterminate|uncertain|exclude")
NOT = re.compile(
    r"(?:未[见发提考查]|无|没有|不(?:考虑|支持|符合|建议|推荐|需|必|宜|像|是|提示|做|行)|非|排除|否认|暂缓|暂不"
    r"|(?:\bno|\bnot|\bwithout|\bnegative for)\b.{0,30})[^,;。]{0,12}$"
)
SAYS = {
    "malignant": r"恶性|癌|malignan\w*|cancer|carcinoma",
    "benign": r"良性|benign",
    "biopsy": r"穿刺|活检|(?<![a-z])fna[bc]?(?![a-z])|biops[a-z]*|aspiration",
    "follow-up": r"随访|随诊|复查|观察|follow[- ]?up|surveillance",
}
AT_ODDS = ({"benign", "biopsy"}, {"malignant", "follow-up"})


def normal(text: str) -> str:
    """Return a text in small letters, with usual digits and brackets for full-width ones."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().split(" ")).strip()


def by_side(text: str) -> dict[str | None, str]:
    """Return what a text says of each side; under None what stands before any side is named.

    A clause that names no side goes on with that of the clause before.
    """
    parts: dict[str | None, list[str]] = {}
    current: list[str | None] = [None]
    for clause in filter(str.strip, CLAUSE.split(text)):
        current = [side for side, word in SIDES.items() if re.search(word, normal(clause))] or current
        for side in current:
            parts.setdefault(side, []).append(clause.strip())
    return {side: "; ".join(clauses) if len(parts) > 1 else text for side, clauses in parts.items()}


def terms(descriptor: str, text: str) -> list[str | None]:
    """Return the terms of a descriptor that a text names, sorted; None among them where it is not clear which."""
    found: set[str | None] = set()
    for clause in CLAUSE.split(normal(text)):
        for pattern, term in PATTERNS[descriptor]:
            for match in re.finditer(pattern, clause):
                if term != "" and not NEGATED.search(clause[: match.start()]):
                    found.add(term)
            clause = re.sub(pattern, lambda match: "\0" * len(match[0]), clause)
    if found & {"none", "large comet-tail artifacts"}:  # says more
        found.discard(NO_CALCIFICATION)
    return sorted(found, key=lambda term: (term is None, term))


def one_meaning(descriptor: str, found: list[str | None]) -> bool:
    """Tell whether the terms of a descriptor can be true together: one of them, or several kinds of foci."""
    together = len(found) == 1 or (descriptor == "foci" and not {"none", NO_CALCIFICATION} & set(found))
    return bool(found) and together and None not in found


def system_named(text: str) -> str | None:
    """Return the TI-RADS system that a text names, with its version; K-TIRADS has two."""
    plain = re.sub(r"[\W_]+", "", normal(text))
    if match := re.search(r"(acr|kwak|eu|k|c)tirads", plain) or re.fullmatch(r"(acr|kwak)(?:20\d\d)?", plain):
        stem = {"acr": "ACR", "kwak": "Kwak"}.get(match[1], f"{match[1]}-TIRADS".upper())
        found = [name for name in SYSTEMS if name.startswith(stem)]
        versions = [name for name in found if name[-4:] in plain]
        return found[0] if len(found) == 1 else versions[0] if len(versions) == 1 else None
    return None


def read_level(text: str, system: str) -> str | None:
    """Return a level as its system writes it: `4a类`, Ⅳa and TI-RADS 4A are one; None where it has no such level."""
    bare = re.sub(r"(?:acr|kwak|eu|k|c)?[-\s]*ti-?rads|20\d\d|\(\D[^)]*\)|category|level", "", normal(text))
    bare = re.sub(r"[左右双两][叶侧]|left|right|lobes?|类别?|分?级|tr|[\s:()]", "", bare)
    match = re.fullmatch(r"(\d|[iv]+)-?([abc]?)", bare)
    if match is None:
        return None
    found = ROMAN.get(match[1].upper(), match[1]) + match[2]
    return next((level for level in SYSTEMS[system] if level.lower().removeprefix("tr") == found), None)


def say(text: str) -> str | None:
    """Return an advice or a conclusion in one word: benign, malignant, biopsy, follow-up; None where it is not clear.

    What the nodule is taken for goes before what is to be done, unless it is left open. Both at odds are not clear.
    """
    said = set(_said(normal(text)))
    assessed = said & {"benign", "malignant"}
    to_do = said - assessed
    if UNSURE.search(normal(text)):
        assessed = set()
    if len(assessed) > 1 or (len(to_do) == 1 and (assessed | to_do) in AT_ODDS):
        return None
    for words in (assessed, to_do):
        if len(words) == 1:
            return words.pop()
    return None


def _said(text: str) -> Iterator[str]:
    for clause in CLAUSE.split(VAGUE.sub(" ", text)):
        for word, pattern in SAYS.items():
            if any(not NOT.search(clause[: match.start()]) for match in re.finditer(pattern, clause)):
                yield word


def read_year(text: str) -> int | None:
    """Return the year of a date, of which nothing else is kept: 2025-09-30, 2025/9/30, 2025年9月30日, 20250930."""
    match = re.match(r"((?:19|20)\d\d)[-/.年]?(\d{1,2})[-/.月]?(\d{1,2})日?(?!\d)", normal(text))
    try:
        return date(*map(int, match.groups())).year if match else None
    except ValueError:
        return None
