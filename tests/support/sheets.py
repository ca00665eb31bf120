"""Workbooks as others read them: by openpyxl, and calculated anew by LibreOffice."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pytest

SOFFICE = shutil.which("soffice")
needs_libreoffice = pytest.mark.skipif(
    SOFFICE is None and os.environ.get("CI") != "true",
    reason="LibreOffice is not installed (Debian: libreoffice-calc)",
)


def read(path: Path) -> Any:
    """With the values that the file carries."""
    return openpyxl.load_workbook(path, data_only=True)


def calculated(path: Path, change: Callable[[Any], None] = lambda _: None) -> Any:
    """As LibreOffice calculates it after a change of cells; saved without values.

    So every figure of a formula is its own work.
    """
    book = openpyxl.load_workbook(path)
    change(book)
    asked, answers = path.with_name("asked.xlsx"), path.parent / "answers"
    book.save(asked)
    profile = path.parent / "office"
    assert SOFFICE is not None
    subprocess.run(
        [
            SOFFICE,
            f"-env:UserInstallation={profile.as_uri()}",
            "--headless",
            *("--convert-to", "xlsx:Calc MS Excel 2007 XML"),
            *("--outdir", str(answers), str(asked)),
        ],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return read(answers / asked.name)


def column(sheet: Any, letter: str, first: int) -> list[Any]:
    """A column's values from a row on, as far as there are customers."""
    return [
        sheet[f"{letter}{row}"].value
        for row in range(first, sheet.max_row + 1)
        if sheet[f"B{row}"].value is not None
    ]
