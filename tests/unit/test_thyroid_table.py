"""A thyroid screening record: tables of any encoding and wording, pictures by path and by URL, two sorts of masks."""

import csv
import io
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openpyxl
import pytest

from tests.fixtures import scan
from workflow_scripts.collections import thyroid_table as collection
from workflow_scripts.collections.collection import TABLE, Clip, Indexed, Source, Still, Unusable, WrongLayout
from workflow_scripts.collections.thyroid_table_words import POINTS, SYSTEMS, by_side, read_level, read_year, say, terms
from workflow_scripts.demo.thyroid_table import write_thyroid_table
from workflow_scripts.imaging.field_of_view import find_field
from workflow_scripts.metrics.score_masks import score_frame
from workflow_scripts.provenance import ContentHashes
from workflow_scripts.tables import cases
from workflow_scripts.tirads.engine import load_system, points_of

Row = dict[str, object]
CHINESE = {
    "record_id": "记录编号",
    "patient_id": "患者编号",
    "image_uri": "甲状腺超声影像图片",
    "mask_expert_uri": "真实分割标签",
    "mask_predicted_uri": "预测分割标签",
    "left_location": "结节位置特征（左叶）",
    "right_location": "结节位置特征（右叶）",
    "left_morphology": "结节形态特征（左叶）",
    "right_morphology": "结节形态特征（右叶）",
    "left_echo": "结节回声特征（左叶）",
    "right_echo": "结节回声特征（右叶）",
    "internal_structure": "结节内部结构",
    "blood_flow": "血流信号",
    "tirads": "结节TI-RADS分级",
    "ai_advice": "AI辅助诊断建议",
    "physician_conclusion": "医生诊断结论",
    "screening_date": "筛查日期",
}


def entry(number: int, **other: object) -> Row:
    """Return a row by our names of the columns: a left nodule of patient `number`, unless told otherwise."""
    own: Row = {"record_id": f"R{number}", "patient_id": f"P{number}", "image_uri": f"images/{number}.png"}
    said: Row = {"left_location": "左叶中部", "left_echo": "低回声", "physician_conclusion": "良性"}
    return dict.fromkeys(CHINESE, "") | own | said | other


def lines_of(rows: list[Row], names: Mapping[str, str]) -> list[list[object]]:
    kept = [name for name in names if any(name in row for row in rows)]
    return [[names[name] for name in kept], *([row[name] for name in kept] for row in rows)]


def write_csv(path: Path, lines: list[list[object]], encoding: str = "utf-8-sig") -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(lines)
    path.write_bytes(text.getvalue().encode(encoding))


def draw(path: Path, seed: int, picture: np.ndarray | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), scan(seed)[0] if picture is None else picture)


def write_set(root: Path, rows: list[Row], names: Mapping[str, str] | None = None, encoding: str = "utf-8-sig") -> Path:
    for seed, row in enumerate(rows):
        if str(row["image_uri"]).startswith("images/"):
            draw(root / str(row["image_uri"]), seed)
    write_csv(root / "records.csv", lines_of(rows, names or CHINESE), encoding)
    return root


def index(root: Path, **other: Any) -> list[Indexed]:
    source = Source(root, root.parent / "cache", **other)
    return list(collection.index(source, ContentHashes(root, root.parent / "hashes.json")))


def usable(found: list[Indexed]) -> list[dict[str, Any]]:
    return [case.row for case in found if case.row]


def remarks(found: list[Indexed]) -> str:
    return "; ".join(problem.reason for case in found if case.case_id == TABLE for problem in case.problems)


def reasons(problems: list[Unusable]) -> str:
    return "; ".join(f"{problem.reason} ({problem.mend})" for problem in problems)


def take(root: Path, row: Mapping[str, Any], **other: Any) -> tuple[Clip, Still]:
    clip = collection.open_case(Source(root, root.parent / "cache", **other), row)
    (still,) = clip.read()
    return clip, still


@pytest.fixture
def one(tmp_path: Path) -> Callable[..., Path]:
    """Write a set of one row."""
    return lambda **other: write_set(tmp_path / "set", [entry(1, **other)])


@pytest.mark.parametrize(
    ("encoding", "said"), [("utf-8", ""), ("utf-8-sig", ""), ("gb18030", "read as GB18030"), ("xlsx", "")]
)
def test_chinese_headers_in_every_encoding(tmp_path: Path, encoding: str, said: str) -> None:
    rows = [entry(2, tirads="４ａ类", blood_flow="丰富"), entry(10), entry(1)]
    root = write_set(tmp_path / "set", rows, encoding="utf-8" if encoding == "xlsx" else encoding)
    if encoding == "xlsx":
        (root / "records.csv").unlink()
        book = openpyxl.Workbook()
        for line in lines_of(rows, CHINESE):
            book.worksheets[0].append(line)
        book.create_sheet("notes").append(["x"])
        book.save(root / "records.xlsx")
    found = index(root)
    assert said in remarks(found)
    assert ("not notes" in remarks(found)) == (encoding == "xlsx")
    first, second, third = usable(found)
    assert [row["sources"][-1] for row in (first, second, third)] == [f"images/{n}.png" for n in (1, 2, 10)]
    assert (second["blood_flow"], second["labels"]["tirads"], second["laterality"]) == ("丰富", "４ａ类", "left")
    assert (second["echogenicity"], second["echogenicity_points"]) == ("hypoechoic", 2)
    assert all(set(row) <= set(cases.SCHEMA.names) for row in usable(found))


def test_english_headers_and_the_users_own(tmp_path: Path) -> None:
    english = {name: name.replace("_", " ").title() for name in CHINESE} | {
        "image_uri": "Picture",
        "blood_flow": "影像",
    }
    root = write_set(tmp_path / "set", [entry(1, blood_flow="none seen")], english)
    columns = {"image_uri": "picture", "blood_flow": "影像"}
    (row,) = usable(index(root, options={"columns": columns}))
    assert (row["sources"][1], row["blood_flow"]) == ("images/1.png", "none seen")
    for wrong, said in [
        ({"image_url": "Picture"}, "columns.image_url: Casebook has no such column; did you mean image_uri"),
        ({"image_uri": "Pictures"}, "has no column Pictures; it has Record Id, Patient Id, Picture"),
        ({"image_uri": "Picture", "tirads_system": "TNM"}, "or one of the systems ACR 2017"),
        ({"image_uri": "Picture", "ai_advice": "Picture"}, "Picture is mapped to two names"),
    ]:
        with pytest.raises(WrongLayout, match=said):
            index(root, options={"columns": wrong})


def test_a_header_that_is_not_understood_says_what_to_write(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", [entry(1)], CHINESE | {"image_uri": "照片", "blood_flow": "血"})
    with pytest.raises(
        WrongLayout, match=r"\(image_uri\); it has 记录编号, 患者编号, 照片.* Write under columns, say, image"
    ):
        index(root)
    found = index(root, options={"columns": {"image_uri": "照片"}})
    assert "it has no column for blood_flow: these stay unknown" in remarks(found)
    assert "columns that are not read: 血" in remarks(found)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("影像,图片\na,b\n".encode(), "影像 and 图片 could both be image_uri"),
        ("影像;记录编号\na;b\n".encode(), "its separator is ';'"),
        ("影像\n".encode("utf-16"), "not a CSV in UTF-8 or GB18030"),
        ('影像\n"a\n'.encode(), "not a CSV in UTF-8 or GB18030"),
        (b"", "it has 0 lines"),
    ],
)
def test_a_table_that_is_none_stops_the_run(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.csv").write_bytes(data)
    with pytest.raises(WrongLayout, match=said):
        index(tmp_path / "set")


def test_which_table_is_meant(tmp_path: Path, one: Callable[..., Path]) -> None:
    root = one()
    (root / "._records.csv").write_bytes(b"x")
    (root / "~$records.xlsx").write_bytes(b"x")
    assert len(usable(index(root))) == 1
    (root / "old.xlsx").write_bytes(b"no workbook")
    with pytest.raises(WrongLayout, match=r"old\.xlsx, records\.csv\? Write for example table: old\.xlsx"):
        index(root)
    assert "not understood: old.xlsx" in remarks(index(root, options={"table": "records.csv"}))
    with pytest.raises(WrongLayout, match=r"old\.xlsx: not a workbook"):
        index(root, options={"table": "old.xlsx"})
    write_csv(tmp_path / "other.csv", [["影像"]])
    with pytest.raises(WrongLayout, match="is not there; write its name relative to the root"):
        index(root, options={"table": "../other.csv"})
    (tmp_path / "empty").mkdir()
    with pytest.raises(WrongLayout, match="no table found"):
        index(tmp_path / "empty")


def test_one_folder_further_down_with_blanks_and_percent_signs(tmp_path: Path) -> None:
    write_set(tmp_path / "set" / "a 100%", [entry(1, image_uri="images/左 1%20.png")])
    draw(tmp_path / "set" / "a 100%" / "images" / "extra.png", 7)
    found = index(tmp_path / "set")
    (row,) = usable(found)
    assert row["sources"] == ["a 100%/records.csv", "a 100%/images/左 1%20.png"]
    assert "not understood: a 100%/images/extra.png" in remarks(found)
    assert take(tmp_path / "set", row)[1].path == "a 100%/images/左 1%20.png"


def test_no_path_leaves_the_root(tmp_path: Path) -> None:
    draw(tmp_path / "secret.png", 3)
    root = tmp_path / "set"
    uris = [
        "../secret.png",
        "images/../../secret.png",
        str(tmp_path / "secret.png"),
        f"file://{tmp_path}/secret.png",
        f"file://{root}/..%2fsecret.png",
        "..\\secret.png",
        "file://elsewhere/1.png",
        "ftp://elsewhere/1.png?sig=sesame",
        "images/none.png",
        "images/a\0.png",
        "x" * 400,
        "无",
        "images",
    ]
    (root / "images").mkdir(parents=True)
    rows = [entry(n, image_uri=uri) for n, uri in enumerate(uris)]
    write_csv(root / "records.csv", lines_of(rows, CHINESE))
    found = index(root)
    assert not usable(found)
    lost = [reasons(case.problems) for case in found if case.case_id != TABLE]
    assert sum("leads out of" in reason for reason in lost) == 6
    assert sum("neither a path nor" in reason for reason in lost) == 2
    assert sum("is not there" in reason for reason in lost) == 4
    assert sum("names no picture" in reason for reason in lost) == 1
    assert "sesame" not in str([problem.file for case in found for problem in case.problems]) + str(lost)


def test_file_uris_below_the_root(tmp_path: Path) -> None:
    root = tmp_path / "set"
    draw(root / "images" / "结节 1.png", 1)
    for uri in (f"file://{root}/images/结节 1.png", f"file://localhost{root}/images/%E7%BB%93%E8%8A%82%201.png"):
        write_csv(root / "records.csv", lines_of([entry(1, image_uri=uri)], CHINESE))
        (row,) = usable(index(root))
        assert row["sources"] == ["records.csv", "images/结节 1.png"]
        assert take(root, row)[1].path == "images/结节 1.png"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Yield the place of a server that gives one picture."""
    draw(tmp_path / "www" / "1.png", 1)

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(tmp_path / "www"))

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{site.server_port}"
        site.shutdown()


def test_a_picture_by_url_is_fetched_when_it_is_opened_and_its_signature_stored_nowhere(
    tmp_path: Path, server: str
) -> None:
    fetch = {"private": [server], "max_mb": 1, "timeout_s": 5, "max_redirects": 0, "offline": False}
    root = tmp_path / "set"
    root.mkdir()
    write_set(root, [entry(1, image_uri=f"http://{server}/1.png?sig=sesame")])
    (row,) = usable(index(root, options={"fetch": {**fetch, "hosts": []}}))
    assert not (tmp_path / "cache" / "fetched").exists()
    assert "sesame" not in str(row)
    for options in ({"fetch": {**fetch, "hosts": []}}, {"fetch": None}, {}):
        with pytest.raises(Unusable, match="line 2: .*its host is not permitted") as said:
            take(root, row, options=options)
        assert said.value.mend == f"add {server} to fetch.hosts"
        assert "sesame" not in str(said.value)
    clip, still = take(root, row, options={"fetch": {**fetch, "hosts": [server]}})
    assert (still.path, still.position) == (None, None)
    assert (still.image == scan(1)[0]).all()
    assert not clip.problems


def test_a_row_that_describes_both_lobes_is_two_nodules_and_no_mask_is_of_one(tmp_path: Path) -> None:
    said = {"right_location": "右叶", "right_echo": "等回声", "mask_expert_uri": "m.png", "internal_structure": "实性"}
    rows = [entry(1, **said, tirads="左叶4a类，右叶3类", ai_advice="建议穿刺", blood_flow="丰富"), entry(2)]
    root = write_set(tmp_path / "set", rows)
    draw(root / "m.png", 0, 255 * scan(0)[1])
    found = index(root, options={"columns": {"tirads_system": "C-TIRADS 2020"}})
    left, right, other = usable(found)
    assert [case.case_id[16:] for case in found if case.row] == ["-left", "-right", "-left"]
    assert [row["echogenicity"] for row in (left, right)] == ["hypoechoic", "isoechoic"]
    assert [row["tirads_level"] for row in (left, right)] == ["4A", "3"]
    assert [row["ai_says"] for row in (left, right)] == ["biopsy", "biopsy"]
    assert left["group_id"] == right["group_id"] != other["group_id"]
    assert (left["composition"], left["blood_flow"], left["labels"]["internal_structure"]) == (None, None, "实性")
    noted = reasons(next(case for case in found if case.row is left).problems)
    assert "which of them mask_expert_uri outlines is not said" in noted
    assert "of which one internal_structure, blood_flow, ai_advice, physician_conclusion speaks is not said" in noted
    assert take(root, left)[1].mask is None


def test_one_column_for_both_lobes(tmp_path: Path) -> None:
    names = {"image_uri": "影像", "location": "结节位置特征（左叶/右叶）", "echo": "结节回声特征", "tirads": "TI-RADS"}
    said = {"location": "左叶上极；右叶下极", "echo": "左叶低回声，右叶等回声", "tirads": "右叶3类"}
    found = index(write_set(tmp_path / "set", [{"image_uri": "images/1.png", **said}], names))
    assert [case.case_id for case in found if case.row] == ["line-2-left", "line-2-right"]
    assert [row["echogenicity"] for row in usable(found)] == ["hypoechoic", "isoechoic"]
    assert [row["labels"].get("tirads") for row in usable(found)] == [None, "右叶3类"]


def test_a_lobe_that_is_healthy_is_no_case(tmp_path: Path, one: Callable[..., Path]) -> None:
    root = one(right_location="未见明显异常", right_echo="-", right_morphology="无结节")
    assert [row["laterality"] for row in usable(index(root))] == ["left"]
    root = one(left_location="", left_echo="")
    (case,) = [case for case in index(root) if case.row]
    assert usable([case])[0]["laterality"] is None
    assert "-" not in case.case_id


def test_who_it_is_stays_in_the_table(tmp_path: Path) -> None:
    rows = [entry(1), entry(2, patient_id="P1"), entry(3)]
    root = write_set(tmp_path / "set", rows)
    found = index(root)
    one, two, three = usable(found)
    assert one["group_id"] == two["group_id"] != three["group_id"]
    assert one["group_kind"] == "patient"
    assert not any(name in str(found) for name in ("P1", "R1", "P3", "R3"))
    told = usable(index(root, groups={"R3": "patient-7"}))[2]
    assert (told["group_id"], told["group_kind"]) == ("patient-7", "patient")


def test_without_patients_rows_that_show_one_picture_are_one_group(tmp_path: Path) -> None:
    rows = [entry(n, patient_id="") for n in (1, 2, 3)]
    root = write_set(tmp_path / "set", rows)
    (root / "images" / "3.png").write_bytes((root / "images" / "1.png").read_bytes())
    found = index(root)
    one, two, three = usable(found)
    assert one["group_id"] == three["group_id"] != two["group_id"]
    assert "no patient is named" in one["group_kind"]
    assert "line 4 shows the same picture as line 2" in reasons(found[-1].problems)


def test_two_rows_of_one_record_and_broken_rows_cost_themselves(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", [entry(1), entry(2), entry(2), entry(3, record_id=""), entry(4), entry(5)])
    lines = (root / "records.csv").read_text(encoding="utf-8-sig").splitlines()
    lines[5] += ",1"
    lines[6] = lines[6].replace("良性", "良" * 6000)
    (root / "records.csv").write_text("\n".join([*lines, "," * 16, ""]), encoding="utf-8")
    found = index(root)
    lost = {case.case_id: reasons(case.problems) for case in found if not case.row and case.case_id != TABLE}
    assert len(usable(found)) == 1
    assert len(lost) == 4
    assert "lines 3 and 4 have one record_id" in str(lost)
    assert "line 5 has no record_id" in lost["line-5"]
    assert "line 6 has 18 fields, the header 17" in lost["line-6"]
    assert "line 7 has a text of more than 5000" in lost["line-7"]
    assert len([case for case in index(root, limit=2) if case.case_id != TABLE]) == 2


def test_a_level_has_a_system_or_is_a_text(tmp_path: Path) -> None:
    levels = ["4A类", "C-TIRADS 4B", "ACR TI-RADS 4", "K-TIRADS 4"]
    root = write_set(tmp_path / "set", [entry(n, tirads=level) for n, level in enumerate(levels)])
    found = index(root)
    assert "2 TI-RADS levels are of a system that is not named" in remarks(found)
    assert [(row["tirads_system"], row["tirads_level"]) for row in usable(found)] == [
        (None, None),
        ("C-TIRADS 2020", "4B"),
        ("ACR 2017", "TR4"),
        (None, None),
    ]
    assert [row["labels"].get("tirads") for row in usable(found)] == ["4A类", None, None, "K-TIRADS 4"]
    named = index(root, options={"columns": {"tirads_system": "Kwak 2011"}})
    assert [row["tirads_level"] for row in usable(named)] == ["4a", "4B", "TR4", None]
    assert "its TI-RADS level 'K-TIRADS 4' is none of Kwak 2011" in reasons(named[-1].problems)
    rows = [entry(n, tirads="4a", tirads_system=system) for n, system in enumerate(("C-TIRADS", "?"))]
    found = index(write_set(tmp_path / "b", rows, CHINESE | {"tirads_system": "TI-RADS系统"}))
    assert [row["tirads_level"] for row in usable(found)] == ["4A", None]


@pytest.mark.parametrize("system", SYSTEMS)
def test_levels_however_they_are_written(system: str) -> None:
    for level in SYSTEMS[system]:
        bare = level.removeprefix("TR")
        wide = "".join(chr(ord(letter) + 0xFEE0) for letter in bare)
        for text in (
            level,
            f"{bare}类",
            f"TI-RADS {bare}级",
            f"{wide}类（可疑）",
            f"{bare.lower()} 类",
            f"左叶{bare}类",
        ):
            assert read_level(text, system) == level
    assert read_level("Ⅲ类", system) == SYSTEMS[system][[level.strip("TR") for level in SYSTEMS[system]].index("3")]
    assert {read_level(text, system) for text in ("4a-4b", "3或4", "9", "", "a")} == {None}


@pytest.mark.parametrize(
    ("descriptor", "text", "expected"),
    [
        ("echogenicity", "极低回声", ["very hypoechoic"]),
        ("echogenicity", "低回声，周边无回声晕，内见点状强回声", ["hypoechoic"]),
        ("echogenicity", "未见低回声，呈等回声", ["isoechoic"]),
        ("echogenicity", "无回声", ["anechoic"]),
        ("echogenicity", "等－低回声", [None]),
        ("echogenicity", "低回声及高回声", ["hyperechoic", "hypoechoic"]),
        ("composition", "囊实性", ["mixed cystic and solid"]),
        ("composition", "非囊性，实性", ["solid or almost completely solid"]),
        ("shape", "纵横比＞１", ["taller-than-wide"]),
        ("shape", "纵横比不大于1", ["wider-than-tall"]),
        ("shape", "纵横比≥1", []),
        ("shape", "纵横比<1.5", []),
        ("margin", "边缘不光整，未突破包膜", ["lobulated or irregular"]),
        ("margin", "边界清晰", []),
        ("foci", "未见强回声", ["none"]),
        ("foci", "未见钙化", ["none or large comet-tail artifacts"]),
        ("foci", "无钙化，未见强回声", ["none"]),
        ("foci", "未见微钙化", []),
        ("foci", "可见钙化", [None]),
        ("foci", "微钙化，粗大钙化", ["macrocalcifications", "punctate echogenic foci"]),
    ],
)
def test_terms_of_the_texts(descriptor: str, text: str, expected: list[str | None]) -> None:
    assert terms(descriptor, text) == expected


def test_points_are_those_of_the_chart_and_a_contradiction_gives_none(one: Callable[..., Path]) -> None:
    system = load_system("acr_2017")
    for descriptor, points in POINTS.items():
        assert points == {term: points_of(system, descriptor, term) for term in points}
    said = {"left_morphology": "边缘光滑，局部分叶，纵横比>1，微钙化及粗大钙化", "left_echo": "低回声"}
    (case,) = [case for case in index(one(**said, internal_structure="实性")) if case.row]
    (row,) = usable([case])
    assert [row[f"{name}_points"] for name in cases.DESCRIPTORS] == [2, 2, 3, None, 4]
    assert row["foci"] == "macrocalcifications; punctate echogenic foci"
    assert "margin reads as lobulated or irregular and smooth: it gets no points" in reasons(case.problems)
    assert row["labels"]["morphology"] == said["left_morphology"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("考虑恶性，建议穿刺活检", "malignant"),
        ("未见恶性征象，考虑良性", "benign"),
        ("未见恶性", None),
        ("不考虑恶性", None),
        ("恶性可能性小", None),
        ("恶性待排，建议ＦＮＡ", "biopsy"),
        ("良恶性不明，建议随访", "follow-up"),
        ("无需穿刺，定期复查", "follow-up"),
        ("考虑良性，建议穿刺", None),
        ("恶性可能，随访", None),
        ("有甲状腺癌家族史，随访", "follow-up"),
        ("建议手术", None),
        ("No evidence of malignancy; follow-up", "follow-up"),
        ("benign, biopsy is not needed", "benign"),
        ("", None),
    ],
)
def test_advice_in_one_word(text: str, word: str | None) -> None:
    assert say(text) == word


def test_dates_keep_their_year_alone(one: Callable[..., Path]) -> None:
    for text in ("2025-09-30", "2025/9/3", "２０２５年９月３０日", "20250930", "2025.9.3 10:20"):
        assert read_year(text) == 2025
    assert {read_year(text) for text in ("25-9-30", "45000", "2025-13-01", "soon")} == {None}
    found = index(one(screening_date="30.9.25"))
    assert "screening_date is no date" in reasons(found[-1].problems)
    assert usable(found)[0]["year"] is None


def test_what_a_text_says_of_each_side() -> None:
    assert by_side("实性，规则") == {None: "实性，规则"}
    assert by_side("双侧结节，左叶大，实性；右叶小") == {"left": "双侧结节; 左叶大; 实性", "right": "双侧结节; 右叶小"}


def pair(root: Path, expert: np.ndarray, predicted: np.ndarray) -> tuple[Clip, Still]:
    """Write one row with these two masks, and read it."""
    draw(root / "e.png", 0, expert)
    draw(root / "p.png", 0, predicted)
    write_set(root, [entry(1, mask_expert_uri="e.png", mask_predicted_uri="p.png")])
    (row,) = usable(index(root))
    assert row["sources"] == ["records.csv", "images/1.png", "e.png", "p.png"]
    return take(root, row)


def test_masks_of_expert_and_model_are_scored_against_each_other(tmp_path: Path) -> None:
    expert, predicted = np.zeros((2, 120, 160), np.uint8)
    expert[40:50, 20:120] = 255
    predicted[40:50, 39:139] = 255
    _, still = pair(tmp_path / "set", expert, predicted)
    assert still.mask is not None
    assert still.given_mask is not None
    scores = score_frame(still.given_mask, still.mask)
    assert (round(scores["dice"], 2), round(scores["iou"], 2)) == (0.81, 0.68)


def test_masks_of_another_size_are_left_out_and_two_empty_ones_said(tmp_path: Path) -> None:
    disc = 255 * scan(0)[1]
    clip, still = pair(tmp_path / "set", disc, disc[::2, ::2])
    assert still.mask is not None
    assert still.given_mask is None
    assert "80 x 60 pixels and its picture 160 x 120; mask_predicted_uri is left out" in reasons(clip.problems)
    clip, still = pair(tmp_path / "set", 0 * disc, 0 * disc)
    assert still.mask is not None
    assert still.given_mask is not None
    assert not still.mask.any()
    assert not still.given_mask.any()
    assert "Dice is not defined" in reasons(clip.problems)
    assert clip.mask_areas() == [0]
    clip, still = pair(tmp_path / "set", disc // 255 * 90, disc)
    assert "neither labels nor white on black; mask_expert_uri is left out" in reasons(clip.problems)


def test_a_mask_that_is_not_there_costs_the_mask_and_a_broken_picture_the_case(one: Callable[..., Path]) -> None:
    root = one(mask_predicted_uri="none.png")
    found = index(root)
    assert "line 2: it is not there" in reasons(found[-1].problems)
    (row,) = usable(found)
    assert take(root, row)[1].given_mask is None
    path = root / "images" / "1.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(Unusable, match="line 2: it does not decode"):
        take(root, row)
    write_csv(root / "records.csv", lines_of([entry(9, image_uri="images/1.png")], CHINESE))
    with pytest.raises(Unusable, match="the row of the case is not in it"):
        take(root, row)


def test_content_hash_follows_row_and_files_and_the_name_of_the_case_its_record(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", [entry(1), entry(2)])
    before = {row["source_key"]: row["content_sha256"] for row in usable(index(root))}
    rows = [entry(2, blood_flow="丰富"), entry(1)]
    write_csv(root / "records.csv", lines_of(rows, CHINESE), "gb18030")  # as saved by another program, in another order
    after = {row["source_key"]: row["content_sha256"] for row in usable(index(root))}
    assert before.keys() == after.keys()
    assert [before[key] == after[key] for key in before] == [True, False]


def test_twin_is_what_it_says_and_its_defects_are_found(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_thyroid_table(tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert all((tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes() for path in files)
    root = tmp_path / "a"
    found = index(root)
    assert "read as GB18030" in remarks(found)
    assert "not understood" not in remarks(found)
    scored, noted, lost = [], "", ""
    for row in usable(found):
        try:
            clip, still = take(root, row)
        except Unusable as problem:
            lost += problem.mend
            continue
        noted += reasons(clip.problems)
        if still.mask is not None and still.mask.any():
            assert find_field(still.image)[still.mask > 0].mean() > 0.99
        if still.mask is not None and still.given_mask is not None:
            scored.append(score_frame(still.given_mask, still.mask)["dice"])
    assert len([case for case in found if not case.row and case.case_id != TABLE]) == 1
    assert lost == "add images.example.org to fetch.hosts"
    assert "mask_predicted_uri is left out" in noted
    assert [dice and round(dice, 2) for dice in scored] == [0.93, 0.81, 0.93, 0.6, None, 0.0]


def test_broken_copies_of_the_table_never_crash(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", [entry(n, tirads="4a", screening_date="2025-09-30") for n in range(3)])
    book = openpyxl.Workbook()
    for line in lines_of([entry(1)], CHINESE):
        book.worksheets[0].append(line)
    book.save(tmp_path / "whole.xlsx")
    rng = random.Random(0)
    for path, data in (
        (root / "records.csv", (root / "records.csv").read_bytes()),
        (root / "records.xlsx", (tmp_path / "whole.xlsx").read_bytes()),
    ):
        for _ in range(60):
            copy = bytearray(data)
            for _ in range(rng.choice((1, 8, 64))):
                copy[rng.randrange(len(copy))] ^= rng.randrange(1, 256)
            path.write_bytes(bytes(copy[: rng.randrange(1, len(copy))] if rng.random() < 0.3 else copy))
            with suppress(Unusable, WrongLayout):
                for row in usable(index(root)):
                    take(root, row)
        path.unlink()
