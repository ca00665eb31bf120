"""The pictures of the page, of the demo: ``python -m tests.support.pictures``."""

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.support.browser import Browser, browser, missing
from tests.support.commands import Workdir
from tests.support.pages import demo_page, written

FOLDER = Path(__file__).parents[2] / "fixtures" / "docs" / "pictures"
LARGEST = 150_000  # bytes a picture: a clone is not a gallery


class Sight(NamedTuple):
    """What is seen from ``first`` on: a selector; "" is the top of the page."""

    name: str
    width: int
    height: int
    first: str = ""
    dark: bool = False


SIGHTS = (
    Sight("page", 1040, 920),
    Sight("cohorts-dark", 1040, 1060, "#usd .legend", dark=True),
    Sight("phone", 390, 844),
)


# Of the dashboard, by the path of the page.
DASHBOARD = {
    "/": Sight("dashboard", 1180, 860),
    "/window": Sight("dashboard-window", 1180, 640),
    "/customer/cus_1rI7CieY3u8myG": Sight("dashboard-customer", 1180, 720),
    "/at-risk": Sight("dashboard-at-risk", 1180, 700, dark=True),
    "/churn": Sight("dashboard-phone", 390, 844),
}


def of_dashboard(tab: Browser, folder: Path) -> Iterator[tuple[Sight, bytes]]:
    """From the command, on the bundled account."""
    workdir = Workdir(folder)
    assert workdir.run("demo", "--keep", ".").code == 0
    process = workdir.start("dashboard", "--bind", "127.0.0.1:0")
    assert process.stdout is not None
    try:
        port = process.stdout.readline().strip().rpartition(":")[2]
        for path, sight in DASHBOARD.items():
            tab.size(sight.width, sight.height).dark(on=sight.dark)
            tab.driver.get(f"http://localhost:{port}{path}")
            yield sight, tab.picture()
    finally:
        process.terminate()
        process.communicate()


def taken(tab: Browser, sight: Sight, page: Path) -> bytes:
    tab.size(sight.width, sight.height).dark(on=sight.dark).open(page)
    if sight.first:
        tab.run(
            "scrollTo(0, document.querySelector(arguments[0])"
            ".getBoundingClientRect().top - 60)",
            sight.first,
        )
        tab.painted()
    return tab.picture()


def main() -> int:
    """Take them all anew."""
    if missing():
        print(missing(), file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder, browser() as tab:
        page = written(demo_page(), Path(folder))
        pictures = ((sight, taken(tab, sight, page)) for sight in SIGHTS)
        demo = Path(folder) / "demo"
        demo.mkdir()
        for sight, picture in chain(pictures, of_dashboard(tab, demo)):
            assert len(picture) <= LARGEST, f"{sight.name}: {len(picture):,} bytes"
            (FOLDER / f"{sight.name}.png").write_bytes(picture)
            print(f"{sight.name}.png: {len(picture):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
