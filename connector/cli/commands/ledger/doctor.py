"""`stripe-nrr doctor`: looks at what a sync would use, and tells each check's verdict."""

import os
from collections.abc import Iterable, Mapping

import click

from connector.cli.forms import Output, end_with_findings
from connector.cli.options import output_option
from connector.core.language import _, marked
from connector.core.messages import spoken
from connector.pipeline.doctor.checks import examine
from connector.pipeline.doctor.installation import Verdict, opened


@click.command()
@click.option("--offline", is_flag=True, help="Leave out what only Stripe can tell.")
@output_option
def doctor(out: Output, *, offline: bool) -> None:
    """See whether all is in place for a sync, and what to do where it is not.

    Looks at the configuration, the key and each permission it needs (a read of one
    object a list), the clock, the API version, the account's time zone, the disk and
    the ledger, which is read as a whole for SQLite's own checks. Changes nothing.

    Each check ends in ok, in a hint (it works, but look at it) or in a FAULT, with what
    to do about it. What cannot be looked at yet is for later, and counts as nothing.
    Exit 3 where there is a fault. No secret is shown.
    """
    shell = out.shell
    shell.log_to_stderr()
    with opened(shell.read_config, os.environ, shell.now(), offline=offline) as at:
        checks = examine(at)
    marks = [verdict.mark for verdict in checks.values()]
    faults, hints = marks.count("fault"), marks.count("hint")
    rows = [{"check": name, **verdict._asdict()} for name, verdict in checks.items()]
    made, whole = len(checks) - marks.count("later"), len(checks)
    count = (
        _("{whole} checks; faults: {faults}, hints: {hints}.")
        if made == whole
        else _("{made} of {whole} checks made; faults: {faults}, hints: {hints}.")
    ).format(made=made, whole=whole, faults=faults, hints=hints)
    out.write(
        text=lambda: "\n".join([*_lines(checks), count]),
        json=lambda: {"checks": rows, "faults": faults, "hints": hints},
    )
    if faults:
        end_with_findings()


MARKS = {
    "ok": marked("ok"),
    "hint": marked("hint"),
    "fault": marked("FAULT"),
    "later": marked("later"),
}


def _lines(checks: Mapping[str, Verdict]) -> Iterable[str]:
    """A line a check, what to do below it, and that only once in a row.

    What is for later for the same reason is one line.
    """
    told = ""
    marks = {name: _(mark) for name, mark in MARKS.items()}
    width = max(6, *map(len, marks.values()))
    for name, verdict in checks.items():
        mark, said, fix = verdict
        names = [name]
        if mark == "later":
            names = [other for other, its in checks.items() if its == verdict]
        if name != names[0]:
            continue
        title = ", ".join(map(spoken, names))
        yield f"{marks[mark]:<{width}} {title}: {spoken(said)}"
        if fix and fix != told:
            yield f"{'':{width}} → {spoken(fix)}"
        told = fix
