"""The pictures of the page, of the demo: ``python -m tests.support.pictures``."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.support.browser import Browser, browser, missing
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
        for sight in SIGHTS:
            picture = taken(tab, sight, page)
            assert len(picture) <= LARGEST, f"{sight.name}: {len(picture):,} bytes"
            (FOLDER / f"{sight.name}.png").write_bytes(picture)
            print(f"{sight.name}.png: {len(picture):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
