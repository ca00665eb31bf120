"""How far long work has come: bars on a terminal, elsewhere a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from connector.cli.output import account_lines
from connector.cli.stderr import note
from connector.core.language import _, grouped

QUIET_S = 10  # one line of progress at most so often where there is no terminal


Progress = Callable[[str, int, int | None], None]


@contextmanager
def progress_shown(*, quiet: bool = False) -> Iterator[Progress]:
    """Tell ``progress(what, done, all)``; ``all`` is a guess, None where nobody knows.

    ``what`` is a text of the catalogues, or a name.
    A bar a task on a terminal; elsewhere a line every ten seconds.
    """
    lines = account_lines()
    if quiet:
        yield lambda _what, _done, _all: None
    elif sys.stderr.isatty() and (lines is None or not lines.at_once):
        with _bars() as show:
            yield show
    else:
        began_s = said_s = time.monotonic()

        def tell(what: str, done: int, whole: int | None) -> None:
            nonlocal said_s
            now_s = time.monotonic()
            if now_s - said_s >= QUIET_S:
                said_s = now_s
                of = (
                    _(" of about {whole}").format(whole=grouped(whole)) if whole else ""
                )
                told = _("{what}: {done}{of} after {seconds} s")
                note(
                    told.format(
                        what=_(what),
                        done=grouped(done),
                        of=of,
                        seconds=round(now_s - began_s),
                    )
                )

        yield tell


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich import progress as rich
    from rich.console import Console
    from rich.text import Text

    class Rate(rich.ProgressColumn):
        def render(self, task: rich.Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{grouped(round(speed))}/s" if speed else "", style="dim")

    with rich.Progress(
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        Rate(),
        rich.TimeElapsedColumn(),
        rich.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
        tasks: dict[str, rich.TaskID] = {}
        lines = account_lines()

        def show(what: str, done: int, whole: int | None) -> None:
            if what not in tasks:
                shown = _(what) if lines is None else lines.of(_(what))
                tasks[what] = bars.add_task(shown, total=whole)
            bars.update(tasks[what], completed=done, total=whole)

        yield show
