"""The data sets as the command line shows, prepares and checks them, and the links that it takes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.fixtures import row, write_ddti_case, write_stack
from workflow_scripts.collections.collection import PHANTOM_MARK, card
from workflow_scripts.command import Refusal
from workflow_scripts.download import azure
from workflow_scripts.download.catalogue import names, route
from workflow_scripts.download.resume import Remote, Store, fetch_all, refuse_unsafe
from workflow_scripts.download_aimi_samples import main

PAGE = "https://aimi.stanford.edu/datasets/x"
SECRET = "s3cr%2Ft+signature%3D"
LINK = f"https://account.blob.core.windows.net/set-1?sv=2022&sp=rl&sig={SECRET}"


def test_list_has_every_card_and_info_says_all_of_each(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody needs to open a YAML file."""
    main(["--list"])
    listed = capsys.readouterr().out
    assert [line.split()[0] for line in listed.splitlines()[1:]] == names()
    assert "17,412 frames" in listed
    assert "36.4 GB" in listed
    assert "forbidden" in listed
    ways = {"thyroid-cineclip": "your own link", "ddti": "by hand"}
    assert all(line.endswith(ways.get(line.split()[0], "")) for line in listed.splitlines())
    for name in names():
        main(["--info", name])
        said = capsys.readouterr().out
        assert all(f"\n{part}\n" in said for part in ("How to get it", "Layout that Casebook reads", "Terms", "Cite"))
        assert ("CASEBOOK_SAS_URL" in said) == (route(card(name)) == "azure")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--info", "thyroid-cine-clip"], "did you mean thyroid-cineclip?"),
        (["--info", "zzzz"], "there are"),
        (["--dataset", "ddti", "--download"], "by hand"),
        (["--dataset", "ddti", "--check", "--root", "/nowhere"], "/nowhere is not a folder"),
    ],
)
def test_what_cannot_be_done_is_one_line_that_says_what_can(arguments: list[str], said: str) -> None:
    """No traceback, and the next step."""
    with pytest.raises(Refusal, match="casebook: ") as refusal:
        main(arguments)
    assert said in str(refusal.value)


def test_a_guide_s_name_finds_the_set(capsys: pytest.CaptureFixture[str]) -> None:
    """The guides in circulation call the cine-clips thyroid-ultrasound."""
    main(["--info", "thyroid-ultrasound"])
    assert "10.71718/7m5n-rh16" in capsys.readouterr().out


def test_prepare_makes_a_folder_that_git_ignores_and_a_block_that_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Data put there cannot be committed by mistake."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    folder = tmp_path / "data: sets" / "clips"
    main(["--dataset", "thyroid-cineclip", "--prepare", "--to", str(folder)])
    block = capsys.readouterr().out.rpartition("names it:\n")[2]
    assert yaml.safe_load(block) == {"datasets": {"thyroid-cineclip": {"root": str(folder)}}}
    readme = (folder / "README.txt").read_text(encoding="utf-8")
    assert "1. " in readme
    assert "no re-identification" in readme
    assert "doi:10.1148/ryai.210174" in readme
    (folder / "dataset.hdf5").write_bytes(b"")
    status = subprocess.run(["git", "-C", tmp_path, "status", "--porcelain"], capture_output=True, check=True)
    assert status.stdout == b""


def test_prepare_twice_changes_nothing_and_a_user_s_file_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Idempotent, and it says what it left alone."""
    main(["--dataset", "ddti", "--prepare", "--to", str(tmp_path)])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    main(["--dataset", "ddti", "--prepare", "--to", str(tmp_path)])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    (tmp_path / "README.txt").write_text("mine")
    main(["--dataset", "ddti", "--prepare", "--to", str(tmp_path)])
    assert (tmp_path / "README.txt").read_text() == "mine"
    assert "with other text: it stays as it is" in capsys.readouterr().out


def test_prepare_keeps_out_of_synthetic_data(tmp_path: Path) -> None:
    """One file more, and phantoms would pass for patients."""
    (tmp_path / PHANTOM_MARK).write_text("")
    with pytest.raises(Refusal, match="synthetic"):
        main(["--dataset", "ddti", "--prepare", "--to", str(tmp_path)])


def ddti(folder: Path, count: int) -> Path:
    """Write so many cases, all with the same picture."""
    write_ddti_case(folder, 1, {1: None})
    for number in range(2, count + 1):
        for name in ("{}.xml", "{}_1.jpg"):
            shutil.copy(folder / name.format(1), folder / name.format(number))
    return folder


def test_check_of_a_whole_set_reads_no_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Contents are not hashed: pictures of no bytes at all are still counted, and equal ones are not joined."""
    for path in ddti(tmp_path, 390).glob("*.jpg"):
        path.write_bytes(b"")
    before = sorted(path.name for path in tmp_path.iterdir())
    main(["--dataset", "ddti", "--check", "--root", str(tmp_path)])
    said = capsys.readouterr().out
    assert "390 cases published; 390 are here" in said
    assert said.endswith("Whole.\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_check_says_what_is_missing_broken_and_half_there_and_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In plain lines, a case each, and no more than fit on a screen."""
    ddti(tmp_path, 388)
    for number in range(1, 16):
        (tmp_path / f"{number}_1.jpg").unlink()
    (tmp_path / "389_1.jpg.part").write_bytes(b"half")
    with pytest.raises(SystemExit) as end:
        main(["--dataset", "ddti", "--check", "--root", str(tmp_path)])
    said = capsys.readouterr().out
    assert end.value.code == 1
    assert "cannot be used (15)" in said
    assert "1: 1.xml: no picture with its case" in said
    assert "and 5 more" in said
    assert "389_1.jpg.part" in said
    assert said.splitlines()[-1].startswith(
        "Not whole: cases not here: 2 of 390; cases that cannot be used: 15; files half downloaded: 1"
    )


def test_check_counts_frames_and_does_not_guess_patients(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The cine-clips name no patients: their number is not compared."""
    write_stack(tmp_path, {"1_": 3, "2_": 12}, [row("1_"), row("2_")])
    with pytest.raises(SystemExit):
        main(["--dataset", "thyroid-cineclip", "--check", "--root", str(tmp_path)])
    said = capsys.readouterr().out
    assert "192 cases published; 2 are here" in said
    assert "17,412 frames published; 15 are here" in said
    assert "167 patients published; not counted here" in said
    assert "(published: 36.4 GB)" in said


def test_check_of_another_folder_is_one_line(tmp_path: Path) -> None:
    """What was expected is said."""
    with pytest.raises(Refusal, match=r"no <n>\.xml found"):
        main(["--dataset", "ddti", "--check", "--root", str(tmp_path)])


@pytest.mark.parametrize(
    ("link", "other", "said"),
    [
        ("", None, "is not set"),
        (LINK.replace("account.blob.core.windows.net", "evil.example"), None, "leads to 'evil.example'"),
        (LINK.replace("windows.net/", "windows.net@evil.example/"), None, "leads to 'evil"),
        (LINK.replace(".net/", ".net.evil.example/"), None, "leads to"),
        (LINK.replace("account.", "evil.example/.").replace("https", "http"), None, "leads to 'evil.example'"),
        (LINK.replace("https", "http"), None, "does not begin with https://"),
        (LINK.replace("set-1", ""), None, "names no container"),
        (LINK.replace("sig=", "gis="), None, "no signature"),
        (LINK.replace("account.blob.core.windows.net", "[" + "account"), None, "is not a link"),
        (LINK.replace("account.blob.core.windows.net", "127.0.0.1:9"), "localhost", "leads to '127.0.0.1'"),
    ],
)
def test_a_link_elsewhere_is_refused_and_never_quoted(link: str, other: str | None, said: str) -> None:
    """Only Azure's hosts, over TLS, unless the user names another; no message holds the signature."""
    environment = {azure.LINK: link} | ({azure.HOST: other} if other else {})
    with pytest.raises(Refusal, match="casebook: ") as refusal:
        azure.read_link(environment, PAGE)
    assert said in str(refusal.value)
    assert PAGE in str(refusal.value)
    assert SECRET not in str(refusal.value)
    assert "s3cr" not in str(refusal.value)


def test_a_link_is_taken_apart_and_its_secret_kept_out_of_texts() -> None:
    """Also where an error quotes it decoded."""
    link = azure.read_link({azure.LINK: f' "{LINK.replace("?", "/part/of it/?")}" '}, PAGE)
    assert (link.account, link.container, link.prefix) == (
        "https://account.blob.core.windows.net",
        "set-1",
        "part/of it",
    )
    assert "s3cr" not in repr(link)
    for text in (f"GET {LINK} failed", f"url: /set-1?{link.token} (", f"sig {SECRET}", "it was s3cr/t signature="):
        assert "s3cr" not in link.scrubbed(text)


class Shelf(Store):
    """Files out of memory."""

    def look(self, name: str) -> Remote:
        """Return a file of one byte."""
        return Remote(name, 1, "v")

    def read(self, remote: Remote, start: int):  # type: ignore[no-untyped-def]
        """Yield it."""
        yield b"x"


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/x", "a//b", "", "C:/x", "a\\..\\x", "x\x1b[2J", "./x", "x.part", "a/."]
)
def test_names_that_lead_out_of_the_folder_are_refused(name: str, tmp_path: Path) -> None:
    """Before anything is fetched."""
    with pytest.raises(Refusal):
        fetch_all(Shelf(), [Remote("good", 1, "v"), Remote(name, 1, "v")], tmp_path)
    assert not list(tmp_path.iterdir())


def test_harmless_names_are_taken() -> None:
    """Blanks, brackets, percent signs and letters of any script occur in the real sets."""
    refuse_unsafe(["CheXpert (batch 2) & more.zip", "Pro_Gated_CS_3.0_I30f_3_70%/IM-1.dcm", "..a/b..", "甲状腺.csv"])


def test_a_file_in_the_way_is_neither_overwritten_nor_taken_for_the_published_one(tmp_path: Path) -> None:
    """A user's own file of the same name stays; one of the right size is not fetched again."""
    (tmp_path / "a").write_text("mine, and longer")
    with pytest.raises(Refusal, match="in the way"):
        fetch_all(Shelf(), [Remote("a", 1, "v"), Remote("b", 1, "v")], tmp_path)
    assert (tmp_path / "a").read_text() == "mine, and longer"
    assert not (tmp_path / "b").exists()
    (tmp_path / "a").write_text("1")
    assert fetch_all(Shelf(), [Remote("a", 1, "v"), Remote("b", 1, "v")], tmp_path) == 1
    assert (tmp_path / "a").read_text() == "1"
    assert (tmp_path / "b").read_text() == "x"


def test_too_little_space_is_said_before_the_first_byte(tmp_path: Path) -> None:
    """Not after a night."""
    with pytest.raises(Refusal, match="are still to come, but only"):
        fetch_all(Shelf(), [Remote("a", 10**18, "v")], tmp_path)
    assert not list(tmp_path.iterdir())


def test_two_downloads_into_one_folder_do_not_mix(tmp_path: Path) -> None:
    """The second is told to wait, and the first's lock ends with it."""
    hold = (
        "import fcntl, os, sys; h = os.open(sys.argv[1], os.O_RDONLY); fcntl.flock(h, fcntl.LOCK_EX); print(); input()"
    )
    other = subprocess.Popen([sys.executable, "-c", hold, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout
    assert other.stdout.readline()
    with pytest.raises(Refusal, match="another download"):
        fetch_all(Shelf(), [Remote("a", 1, "v")], tmp_path)
    other.communicate(b"\n")
    assert fetch_all(Shelf(), [Remote("a", 1, "v")], tmp_path) == 1


def test_help_is_enough_for_a_newcomer() -> None:
    """As a process, without Azure's and TCIA's libraries being imported."""
    code = (
        "import sys; from workflow_scripts.download_aimi_samples import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "assert not {'azure.core', 'azure.storage.blob', 'tcia_utils', 'pandas', 'torch'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "CASEBOOK_SAS_URL" in done.stdout
    assert "--check" in done.stdout
    assert "NAME.part" in done.stdout
