"""Spark's workers: the package that they are sent, and what they say went wrong."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile, ZipInfo

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.utils import is_remote

import connector
from connector.core.errors import LakeUnusable

_SAID = re.compile(r"LakeUnusable: (.+)")


@contextmanager
def package_sent(session: SparkSession) -> Iterator[None]:
    """Named for what is in it: a worker that has it already keeps it."""
    package = Path(connector.__file__).parent
    sources = {
        str(path.relative_to(package.parent)): path.read_bytes()
        for path in sorted(package.rglob("*"))
        if path.suffix in (".py", ".sql")
    }
    name = sha256(b"".join(sources.values())).hexdigest()[:16]
    with TemporaryDirectory(prefix="stripe-nrr-lake-") as folder:
        place = f"{folder}/connector-{name}.zip"
        with ZipFile(place, "w") as zipped:
            for inside, content in sources.items():
                zipped.writestr(ZipInfo(inside), content)
        if is_remote():
            session.addArtifacts(place, pyfile=True)
        else:
            session.sparkContext.addPyFile(place)
        yield


@contextmanager
def in_words() -> Iterator[None]:
    """What a worker or Spark says, in one line; its own log has the rest."""
    try:
        yield
    except (PySparkException, Py4JError) as error:
        text = str(error)
        found = _SAID.search(text)
        said = found[1] if found is not None else next(iter(text.splitlines()), "")
        raise LakeUnusable(
            f"Spark could not derive it: {said}",
            fix="what Spark has logged says more, such as that it found no Java 17 or "
            "newer; nothing of this run was kept",
        ) from error
