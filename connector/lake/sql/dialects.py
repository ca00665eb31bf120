"""What engines write differently of the same SQL."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

BLANKS = " \t\n\r\f\v"  # around a company's name


class Dialect(NamedTuple):
    """How an engine writes what engines write differently.

    ``files``: all Parquet of a folder, as a table. ``row_as_json``: of a row that is
    called ``it``. ``metadata``: of an object in ``body``, what it says for a key.
    """

    files: Callable[[Path], str]
    row_as_json: str
    metadata: Callable[[str], str]


def duckdb_text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _duckdb_files(folder: Path) -> str:
    literal = re.sub(r"([*?[])", r"[\1]", str(folder))
    return f"read_parquet({duckdb_text(f'{literal}/*.parquet')})"


def _duckdb_metadata(key: str) -> str:
    pointer = duckdb_text("/metadata/" + key.replace("~", "~0").replace("/", "~1"))
    return f"trim(get_json_object(it.body, {pointer}), {duckdb_text(BLANKS)})"


DUCKDB = Dialect(_duckdb_files, "CAST(to_json(it) AS VARCHAR)", _duckdb_metadata)


def _spark_text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def spark_files(folder: Path) -> str:
    literal = re.sub(r"([\\*?{}\[\]])", r"\\\1", str(folder.absolute()))
    return "parquet.`" + literal.replace("`", "``") + "`"


def _spark_metadata(key: str) -> str:
    every = "from_json(get_json_object(it.body, '$.metadata'), 'map<string, string>')"
    return f"trim(BOTH {_spark_text(BLANKS)} FROM {every}[{_spark_text(key)}])"


SPARK = Dialect(spark_files, "to_json(struct(it.*))", _spark_metadata)
