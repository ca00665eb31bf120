"""``-o FILE`` never harms: not the ledger, not a link, not a device, not the old file."""

import fcntl
import mmap
import os
import re
import shlex
import shutil
import signal
import sqlite3
import stat
import subprocess
import termios
import threading
from array import array
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import click
import pytest

from connector.cli.app import stripe_nrr
from tests.support.commands import Workdir
from tests.support.served import PATIENCE_S, until
from tests.support.small_ledger import GROWS, lay_out

REPOSITORY = Path(__file__).parents[2]
CSV = ("report", "--window", "month", "--format", "csv")
EXPORT = ("export", "--what", "movements")
WRITERS: Sequence[Sequence[str]] = [
    CSV,
    ("report", "--format", "html"),
    ("report",),
    ("movements", "--format", "json"),
    EXPORT,
    ("export", "--what", "mrr", "--format", "parquet"),
    ("at-risk", "--format", "markdown"),
]


@pytest.fixture
def workdir(tmp_path: Path) -> Iterator[Workdir]:
    """Whatever is written here, no draft is left beside it."""
    made = lay_out(tmp_path)
    yield made
    assert [path for path in tmp_path.rglob("*") if path.name.endswith("draft")] == []


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("words", WRITERS, ids=" ".join)
@pytest.mark.parametrize(
    "name",
    [
        *("stripe-nrr.db", "stripe-nrr.db-wal", "stripe-nrr.db-shm"),
        *("stripe-nrr.db.lock", "config.toml", "./stripe-nrr.db", "link", "hard"),
        *("status.json", "../{folder}/stripe-nrr.db"),
        *("rates.csv", "token"),
        *("copy.db", "stripe-nrr.db.replaced-2026-11-01T000000Z"),
    ],
)
def test_what_is_kept_here_is_never_written_over(
    workdir: Workdir, words: Sequence[str], name: str
) -> None:
    workdir.configure(
        '[sync]\nstatus_file = "status.json"\n[reporting]\nrates = "rates.csv"\n'
        '[serve]\nadmin_token_file = "token"\n'
    )
    for named in ("rates.csv", "token"):
        (workdir.folder / named).touch()
    (workdir.folder / "link").symlink_to("stripe-nrr.db")
    os.link(workdir.ledger, workdir.folder / "hard")
    for kept in ("copy.db", "stripe-nrr.db.replaced-2026-11-01T000000Z"):
        shutil.copy(workdir.ledger, workdir.folder / kept)
    before = {path: path.read_bytes() for path in workdir.folder.iterdir()}
    output = name.format(folder=workdir.folder.name)
    ran = workdir.call(*words, "-o", output)
    assert ran.code == 2
    assert "would destroy" in ran.err
    assert {path: path.read_bytes() for path in workdir.folder.iterdir()} == before


@pytest.mark.parametrize("words", WRITERS, ids=" ".join)
def test_a_link_and_a_mode_stay(workdir: Workdir, words: Sequence[str]) -> None:
    folder = workdir.folder / "elsewhere"
    folder.mkdir()
    target = folder / "figures"
    target.write_text("of last month")
    target.chmod(0o604)
    link = workdir.folder / "figures"
    link.symlink_to("elsewhere/figures")
    ran = workdir.call(*words, "-o", "figures")
    assert (ran.code, ran.err) == (0, "")
    assert link.is_symlink()
    assert mode(target) == 0o604
    assert target.stat().st_size > 100
    assert [path.name for path in folder.iterdir()] == ["figures"]


def test_a_link_that_leads_nowhere_yet(workdir: Workdir) -> None:
    link = workdir.folder / "figures"
    link.symlink_to("made")
    assert workdir.call(*CSV, "-o", "figures").code == 0
    assert link.is_symlink()
    assert (workdir.folder / "made").read_text().startswith("currency,")


def test_a_new_file_has_the_mode_that_files_here_have(workdir: Workdir) -> None:
    before = os.umask(0o027)
    try:
        assert workdir.call(*CSV, "-o", "figures").code == 0
    finally:
        os.umask(before)
    assert mode(workdir.folder / "figures") == 0o640


@pytest.mark.parametrize("words", WRITERS, ids=" ".join)
def test_a_pipe_is_written_through(workdir: Workdir, words: Sequence[str]) -> None:
    pipe = workdir.folder / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    ran = workdir.run(*words, "-o", "pipe")
    reader.join(PATIENCE_S)
    assert ran.code == 0, ran.err
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert workdir.call(*words, "-o", "file").code == 0
    written = (workdir.folder / "file").read_bytes()
    assert list(map(timeless, read)) == [timeless(written)]


def timeless(text: bytes) -> bytes:
    """A page says in which minute it was made."""
    return re.sub(rb"\d\d \w{3} \d{4} \d\d:\d\d UTC", b"then", text)


def shell(workdir: Workdir, script: str) -> "subprocess.CompletedProcess[str]":
    """A line of bash in which ``nrr`` is the command."""
    command = " ".join(workdir.command())
    return subprocess.run(
        ["/bin/bash", "-c", script.replace("nrr ", f"{command} ")],
        cwd=workdir.folder,
        env={**workdir.environment(), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("nrr export --what mrr -o >(cat > seen); sleep 1; head -c8 seen", "customer"),
        ("nrr export --what mrr -o /dev/stdout | head -c8", "customer"),
        ("nrr export --what mrr -o /dev/fd/1 | head -c8", "customer"),
        (
            "echo old > log; nrr export --what mrr -o /dev/stdout >> log; head -1 log",
            "old",
        ),
        ("nrr report -o /dev/null && ls -l /dev/null | cut -c1", "c"),
    ],
    ids=["process substitution", "stdout", "a descriptor", "appended", "null"],
)
def test_what_is_no_regular_file(workdir: Workdir, script: str, expected: str) -> None:
    ran = shell(workdir, script)
    assert ran.stdout.strip() == expected, ran.stderr


COPY = ("backup",)


@pytest.mark.parametrize("words", [*((*w, "-o") for w in WRITERS), COPY], ids=" ".join)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing/figures", "there is no folder"),
        ("nowhere", "there is no folder"),
        ("config.toml/figures", "there is no folder"),
        ("loop", "'loop': its links lead in a circle"),
        ("x" * 300, "its name is too long"),
        (".", "is a folder, and a file is meant"),
        ("", "the name of a file is missing"),
    ],
)
def test_where_no_file_can_be_is_wrong_usage(
    workdir: Workdir, words: Sequence[str], name: str, said: str
) -> None:
    (workdir.folder / "nowhere").symlink_to("missing/figures")
    (workdir.folder / "loop").symlink_to("loop")
    ran = workdir.call(*words, name)
    assert ran.code == 2, ran.err
    assert said in ran.err
    assert "fix: " in ran.err


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/null", "pipe"])
def test_a_backup_is_a_file(workdir: Workdir, name: str) -> None:
    os.mkfifo(workdir.folder / "pipe")
    ran = workdir.run("backup", name)
    assert ran.code == 1
    assert f"{name} is no backup" in ran.err.replace(f"{workdir.folder}/", "")


@pytest.mark.parametrize("form", ["text", "json", "csv", "html"])
def test_what_is_held_to_the_ledger_is_not_written_over(
    workdir: Workdir, form: str
) -> None:
    theirs = workdir.folder / "theirs.csv"
    theirs.write_text(f"customer,month,mrr,currency\n{GROWS},2026-03,12.00,usd\n")
    before = theirs.read_bytes()
    (workdir.folder / "link").symlink_to("theirs.csv")
    words = ("reconcile", "theirs.csv", "--format", form)
    for name in ("theirs.csv", "link"):
        ran = workdir.call(*words, "-o", name)
        assert ran.code == 2
        assert "would destroy theirs.csv" in ran.err
    assert theirs.read_bytes() == before


@pytest.mark.parametrize("words", WRITERS, ids=" ".join)
def test_a_full_device_is_an_error(workdir: Workdir, words: Sequence[str]) -> None:
    ran = workdir.run(*words, "-o", "/dev/full")
    assert ran.code == 1
    assert "No space left" in ran.err
    assert "Traceback" not in ran.err
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


@pytest.mark.parametrize("words", WRITERS, ids=" ".join)
def test_a_write_that_fails_leaves_what_was_there(
    workdir: Workdir, words: Sequence[str]
) -> None:
    """No file may grow here at all, as where a quota has ended."""
    old = workdir.folder / "figures"
    old.write_text("of last month")
    done = subprocess.run(
        [
            "/bin/bash",
            "-c",
            f"ulimit -f 0; {shlex.join(workdir.command(*words))} -o figures",
        ],
        cwd=workdir.folder,
        env={**workdir.environment(), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert old.read_text() == "of last month"


def test_an_end_by_signal_leaves_no_draft(workdir: Workdir) -> None:
    """It waits for the reader of a pipe, full by then, that stands in for a slow disk."""
    pipe = workdir.folder / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    held = fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, mmap.PAGESIZE)
    with subprocess.Popen(
        workdir.command("report", "--format", "html", "-o", "pipe"),
        cwd=workdir.folder,
        env=workdir.environment(),
    ) as process:
        until(lambda: waiting_in(reader) == held)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 143
    os.close(reader)


def waiting_in(pipe: int) -> int:
    """How many bytes."""
    count = array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def test_a_table_of_a_ledger_that_lacks_somebody_says_so(workdir: Workdir) -> None:
    """It has no room for that itself, and what it is loaded into adds it up."""
    whole = workdir.call("export", "--what", "mrr")
    assert (whole.code, whole.err) == (0, "")
    with closing(sqlite3.connect(workdir.ledger)) as connection:
        connection.execute(
            "INSERT INTO dirty_customers (customer)"
            " SELECT id FROM stripe_customers LIMIT 1"
        )
        connection.commit()
    ran = workdir.call("export", "--what", "mrr")
    assert (ran.code, ran.out) == (0, whole.out)
    assert "1 customer" in ran.err
    assert "warning:" in ran.err
    ran = workdir.call(*CSV)
    assert ran.code == 0
    assert ",false," in ran.out
    assert "warning: " in ran.err
    assert "1 customer" in ran.err
    assert workdir.call(*CSV[:-1], "json").err == "", "which says it itself"


MIRROR = ("export", "--what", "mirror", "-o", "mirror")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*MIRROR, "--format", "csv"), "the mirror is a folder of Parquet"),
        ((*MIRROR, "--format", "parquet", "--dialect", "excel-de"), "is of CSV"),
        (("report", "--dialect", "excel-de"), "--dialect excel-de is of CSV"),
        (("churn", "--format", "json", "--dialect", "excel-de"), "and this is json"),
        ((*EXPORT, "--format", "parquet", "--dialect", "excel-de"), "is parquet"),
    ],
)
def test_a_form_that_is_not_to_be_had_is_refused(
    workdir: Workdir, words: Sequence[str], said: str
) -> None:
    ran = workdir.call(*words)
    assert ran.code == 2
    assert said in ran.err
    assert not (workdir.folder / "mirror").exists()


@pytest.mark.parametrize("words", [(), ("--format", "parquet")])
def test_the_mirror_is_parquet(workdir: Workdir, words: Sequence[str]) -> None:
    assert workdir.call(*MIRROR, *words).code == 0
    assert (workdir.folder / "mirror" / "manifest.json").is_file()


INTO_ITSELF = (
    *("mirror", "./mirror/", "link", "../{folder}/mirror", "mirror/out"),
    *("link/out", "mirror/customers", "mirror/../mirror/out"),
)


@pytest.mark.parametrize("out", INTO_ITSELF)
@pytest.mark.parametrize("source", ["mirror", "link"])
def test_a_lake_writes_nothing_into_its_source(
    workdir: Workdir, source: str, out: str
) -> None:
    assert workdir.call(*MIRROR).code == 0
    (workdir.folder / "link").symlink_to("mirror")
    mirror = workdir.folder / "mirror"
    before = sorted(mirror.rglob("*"))
    ran = workdir.call("lake", source, out.format(folder=workdir.folder.name))
    assert ran.code == 2
    assert "which is only read from" in ran.err
    assert sorted(mirror.rglob("*")) == before
    shutil.rmtree(mirror)


def test_a_lake_of_several_writes_into_none_of_them(workdir: Workdir) -> None:
    assert workdir.call(*MIRROR).code == 0
    every = workdir.folder / "every"
    every.mkdir()
    (every / "one").symlink_to(workdir.folder / "mirror")
    for out in ("every/one", "every/two", "mirror/out"):
        assert workdir.call("lake", "every", out).code == 2
    assert workdir.call("lake", "every", "lake").code == 0
    ran = workdir.call("report", "--lake", "lake", "-o", "lake/report.txt")
    assert (ran.code, "which is only read from" in ran.err) == (2, True)


def test_two_at_once_leave_one_whole_file(workdir: Workdir) -> None:
    running = [workdir.start(*EXPORT, "-o", "figures") for _ in range(4)]
    for each in running:
        _, err = each.communicate(timeout=PATIENCE_S)
        assert (each.returncode, err) == (0, "")
    assert workdir.call(*EXPORT, "-o", "alone").code == 0
    written = (workdir.folder / "figures").read_bytes()
    assert written == (workdir.folder / "alone").read_bytes()


# --- a dash is the standard output ---

DASHED: Sequence[Sequence[str]] = [
    *WRITERS,
    ("report", "--format", "xlsx"),
    ("churn",),
    ("cohorts", "--format", "csv"),
    ("coverage", "--format", "json"),
    ("digest", "--peek", "--format", "html"),
    ("drift",),
    ("explain", "--window", "2026-03"),
    ("notes",),
    ("reconcile", "theirs.csv"),
    ("restatements", "--format", "csv"),
    ("export", "--what", "mrr", "--format", "parquet"),
]


def test_every_command_with_an_output_is_tried() -> None:

    context = click.Context(stripe_nrr)
    commands = {
        name: stripe_nrr.get_command(context, name)
        for name in stripe_nrr.list_commands(context)
    }
    writing = {
        name
        for name, command in commands.items()
        if command is not None and any(p.name == "output" for p in command.params)
    }
    assert writing == {words[0] for words in DASHED}


@pytest.mark.parametrize("words", DASHED, ids=" ".join)
def test_a_dash_is_the_standard_output(workdir: Workdir, words: Sequence[str]) -> None:
    theirs = "customer,month,mrr\n" + f"{GROWS},2026-02,1\n{GROWS},2026-03,2\n"
    (workdir.folder / "theirs.csv").write_text(theirs)
    said = subprocess.run(
        workdir.command(*words, "-o", "-"),
        cwd=workdir.folder,
        env=workdir.environment(),
        capture_output=True,
        check=False,
    )
    assert said.returncode in {0, 3}, said.stderr
    assert not (workdir.folder / "-").exists()
    if words[-1] in {"xlsx", "parquet"}:
        assert said.stdout[:4] in {b"PK\x03\x04", b"PAR1"}
    else:
        again = workdir.run(*words).out.encode()
        assert timeless(said.stdout) == timeless(again) != b""
    assert workdir.call(*words, "-o", "./-").code == said.returncode
    assert (workdir.folder / "-").stat().st_size > 0


@pytest.mark.parametrize(
    "words", [("backup", "-"), ("restore", "-"), ("reconcile", "-")]
)
def test_where_a_file_is_needed_a_dash_is_none(
    workdir: Workdir, words: Sequence[str]
) -> None:
    ran = workdir.call(*words)
    assert ran.code == 2
    assert "one called - is ./-" in ran.err
    assert not (workdir.folder / "-").exists()


def test_a_dash_is_no_folder_for_the_mirror(workdir: Workdir) -> None:
    ran = workdir.call("export", "--what", "mirror", "-o", "-")
    assert ran.code == 2
    assert "name one with -o DIR" in ran.err
