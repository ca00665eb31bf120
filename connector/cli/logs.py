"""What is logged to stderr, a line a record: its time, its level, then key=value fields.

    log.warning("stripe_http.retry attempt=%d %s", 2, error)

is the event ``stripe_http.retry`` with a field ``attempt``, and what has no name of its
own under ``why``. As text (logfmt) or as JSON; either way nothing in a value, wherever it
came from, can look like another line, and no key or secret is in one.
"""

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from connector.cli.output import account_lines
from connector.core.errors import masked

LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
LIBRARIES = ("httpx", "httpcore", "stripe")  # what they log below a warning is not ours
OURS = "connector."
_DIRECTIVE = re.compile(r"%(?!%)[-+#0 ]?[\d.]*[a-z]")
_PLAIN = re.compile(r"[\w.:/+-]+", re.ASCII)


def log_to_stderr(verbosity: int, form: str) -> None:
    """``verbosity`` 0 is warnings, 1 what happens, 2 each page as well."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FieldFormatter(form))
    logging.basicConfig(level=LEVELS[min(verbosity, 2)], handlers=[handler])
    for library in LIBRARIES:
        logging.getLogger(library).setLevel(logging.WARNING)


class FieldFormatter(logging.Formatter):
    """A record as one line of ``form``."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form

    def format(self, record: logging.LogRecord) -> str:
        at, lines = datetime.fromtimestamp(record.created, UTC), account_lines()
        told = {
            "time": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z",
            "level": record.levelname,
            **({} if lines is None else {"account": lines.account}),
            **fields(record),
        }
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        safe = {name: _masked(value) for name, value in told.items()}
        return json.dumps(safe) if self.form == "json" else _logfmt(safe)


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """The event's name and its fields; of what others log, who, and what it says."""
    if not record.name.startswith(OURS) or not isinstance(record.args, tuple | None):
        return {"event": record.name, "why": record.getMessage()}
    words = list(_words(str(record.msg), record.args or ()))
    named = [re.fullmatch(r"([a-z]\w*)=", before) for before, _ in words]
    told: dict[str, Any] = {"event": _text(words[:1])}
    told |= {
        found[1]: value
        for found, (_, value) in zip(named[1:], words[1:], strict=True)
        if found is not None
    }
    rest = [
        each for found, each in zip(named[1:], words[1:], strict=True) if found is None
    ]
    return told | ({"why": _text(rest)} if rest else {})


def _words(template: str, args: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """Each word of the template: what stands before its value, and the value."""
    left = iter(args)
    for word in template.split(" "):
        directive = _DIRECTIVE.search(word)
        if directive is None:
            before, _, value = word.rpartition("=")
            yield (f"{before}=" if before else ""), value
        else:
            value = next(left)
            is_number = type(value) in (int, float)
            yield (
                word[: directive.start()],
                value if is_number else directive[0] % value,
            )


def _text(words: list[tuple[str, Any]]) -> str:
    return " ".join(f"{before}{value}" for before, value in words)


def _masked(value: Any) -> Any:
    return masked(value) if isinstance(value, str) else value


def _logfmt(told: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={_quoted(value)}" for name, value in told.items())


def _quoted(value: Any) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
