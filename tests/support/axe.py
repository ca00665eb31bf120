"""axe-core, which looks for what shuts people out: from ``AXE_CORE``, or from npm.

Nothing of node comes into the repository: npm unpacks into a folder for the occasion.
"""

import os
import shutil
import subprocess
import tarfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.browser import Browser

PACKAGE = "axe-core@4.10.3"
WITHIN = "package/axe.min.js"
PATIENCE_S = 30
RUN = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ['violations']}).then(
  found => done(found.violations.map(
    each => `${each.id}: ${each.nodes.map(node => node.html.slice(0, 200)).join(' | ')}`)),
  error => done([String(error)]));
"""


@cache
def axe_script() -> str:
    """Its text; "" where there is neither a file of it nor an npm that reaches it."""
    given = os.environ.get("AXE_CORE")
    if given:
        return Path(given).read_text(encoding="utf-8")
    npm = shutil.which("npm")
    return "" if npm is None else _packed(npm)


def _packed(npm: str) -> str:
    with TemporaryDirectory() as folder:
        words = [npm, "pack", PACKAGE, "--silent", "--pack-destination", folder]
        try:
            subprocess.run(
                words, cwd=folder, timeout=PATIENCE_S, check=True, capture_output=True
            )
        except (OSError, subprocess.SubprocessError):
            return ""
        [archive] = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as packed:
            inside = packed.extractfile(WITHIN)
            return "" if inside is None else inside.read().decode()


def findings(tab: Browser) -> list[str]:
    """What it says of the page that is open: a line a rule that is broken."""
    tab.run(axe_script())
    found: Any = tab.driver.execute_async_script(RUN)
    return [str(each) for each in found]
