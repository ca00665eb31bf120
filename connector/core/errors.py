"""Everything this package raises on purpose.

    ConnectorError           catch this one at the edge
      ConfigError            config.toml or the environment is wrong; names every fault
        NoTimeZone           nobody said yet which zone a new ledger's days are in
      StripeRefused          Stripe understood the request and said no
      StripeUnavailable      Stripe did not answer, after every retry
        NotStripe            something on the way refused in its place
      UnknownStripeShape     Stripe sent something that stripe_api.objects cannot read
      LedgerUnusable         the ledger file cannot be opened, read or written
        LedgerNewer          it is of a newer version of this program
        OtherAccount         the key is not of the account that the ledger is of
      LedgerConflict         a movement is offered where another one already stands
      LedgerBusy             another sync holds the ledger: try again later
      Stopped                the process was asked to end, and did
      RulesDiffer            another process derives this ledger under other rules
      Underivable            some customers' histories break the derivation, others not
      CannotListen           an address to serve on is taken, or not this machine's
      NothingFound           what was asked for is not in the ledger
      MissingExtra           an optional library is needed and not installed
      LakeUnusable           a folder of Parquet cannot be read, written or derived from
      NotOverYet             a month cannot be closed before its end is known
      NotWhole               a month cannot be closed while something of it is missing
      UsageFault             the options of a command contradict each other

    Unvalued                 one object cannot be valued yet; caught by the timeline,
                             which goes on without it and names it in the summary

Each ``ConnectorError`` says what is wrong and, in ``fix``, what to do next. A
programmer's mistake is an ``assert``, never one of these.
"""

import errno
import re
from collections.abc import Sequence
from typing import NamedTuple

from connector.core.language import message

SECRET = re.compile(r"\b(sk|rk|whsec)_\w+")


def masked(text: str) -> str:
    """As an error may show it: what looks like a key is not repeated."""
    return SECRET.sub(r"\1_…", text)


class ConnectorError(Exception):
    """A failure the operator can act on. ``exit_code`` is the process's."""

    exit_code = 1

    def __init__(self, problem: str, *, fix: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix

    def __reduce__(self) -> tuple[object, ...]:
        """From one process to another: made anew with what it says, not by its words."""
        return type(self).__new__, (type(self), *self.args), vars(self)


class ConfigError(ConnectorError):
    """The configuration cannot be used. ``faults`` lists all that is wrong with it."""

    def __init__(
        self,
        faults: Sequence[str],
        *,
        source: str = "config.toml",
        fix: str | None = None,
    ) -> None:
        explained = [message(f"correct {source}")]
        if source.endswith(".toml"):
            explained.append(message("config.example.toml explains every key"))
        super().__init__("; ".join(faults), fix=fix or "; ".join(explained))
        self.faults = list(faults)


class NoTimeZone(ConfigError):
    """The first sync needs a time zone that is not configured, and nowhere to be read."""

    exit_code = 2


class StripeRefused(ConnectorError):
    """Stripe said no; asking again would not help.

    ``status`` is the HTTP status, ``code`` Stripe's own error code or None.
    """

    def __init__(
        self, problem: str, *, fix: str, status: int, code: str | None = None
    ) -> None:
        super().__init__(problem, fix=fix)
        self.status = status
        self.code = code


class StripeUnavailable(ConnectorError):
    """No usable answer after every retry: network, rate limit or Stripe itself."""


class NotStripe(StripeUnavailable):
    """A refusal that is not worded as Stripe's are: a proxy's or a firewall's."""


class UnknownStripeShape(ConnectorError):
    """An answer of Stripe's does not have the shape of the pinned API version.

    ``what`` says which field, and why.
    """

    def __init__(self, problem: str, *, fix: str, what: str = "") -> None:
        super().__init__(problem, fix=fix)
        self.what = what


class LedgerUnusable(ConnectorError):
    """The ledger file is missing, foreign, newer than this program, or read-only."""


class LedgerNewer(LedgerUnusable):
    """The file is of a version of this program that is not this one."""


class OtherAccount(LedgerUnusable):
    """A ledger belongs to one Stripe account, in one of its modes."""


class LedgerConflict(ConnectorError):
    """A movement is offered on a day where another one is already live."""


class LedgerBusy(ConnectorError):
    """Another process holds the ledger for a sync."""

    exit_code = 75


class Stopped(ConnectorError):
    """A signal asked the process to end before it was done."""

    exit_code = 75

    def __init__(self) -> None:
        super().__init__(
            message("asked to stop before everything was done"),
            fix=message("run it again: what was done is kept"),
        )


class RulesDiffer(ConnectorError):
    """The rules in force are not ours: deriving would mix two policies in one ledger."""


class Underivable(ConnectorError):
    """Customers whose history nobody foresaw were set aside; all others are derived."""


class CannotListen(ConnectorError):
    """An address of [serve] is somebody else's."""


class NothingFound(ConnectorError):
    """The customer, currency or period asked for is not in the ledger."""


class MissingExtra(ConnectorError):
    """What was asked for needs a library that only an extra installs."""


class LakeUnusable(ConnectorError):
    """A folder of Parquet, or what is in it, is not as a derivation needs it."""


class NotOverYet(ConnectorError):
    """The ledger has not seen the end of the month that is to be closed."""


class NotWhole(ConnectorError):
    """Something of the month that is to be closed is missing; ``lacked`` says what."""

    exit_code = 3

    def __init__(self, problem: str, *, fix: str, lacked: Sequence[str]) -> None:
        super().__init__(problem, fix=fix)
        self.lacked = list(lacked)


class Unvalued(Exception):
    """An object whose MRR cannot be derived; never counted as 0 in silence.

    ``object_id``, ``field`` and ``value`` name what stands in the way.
    """

    def __init__(self, object_id: str, field: str, value: object) -> None:
        super().__init__(f"{object_id}: {field} is {value!r}")
        self.object_id = object_id
        self.field = field
        self.value = value


class UsageFault(ConnectorError):
    """The options contradict each other."""

    exit_code = 2


# Why the system refuses a file


class SystemFault(NamedTuple):
    """What the system refused, in a sentence, and what to do about it."""

    problem: str
    fix: str


_PATH, _RIGHT = message("correct the path"), message("this user lacks the permission")
_LET = message("let this user read and write there, or name another place")
_ROOM = message("make room on it, then run it again")
_REFUSED = {
    errno.ENOENT: (message("it is not there"), _PATH),
    errno.ENOTDIR: (message("a part of its path is a file, not a folder"), _PATH),
    errno.ENAMETOOLONG: (message("its name is too long"), _PATH),
    errno.ELOOP: (message("its links lead in a circle"), _PATH),
    errno.EISDIR: (message("it is a folder, not a file"), message("name a file")),
    errno.EACCES: (_RIGHT, _LET),
    errno.EPERM: (_RIGHT, _LET),
    errno.EROFS: (message("its disk can only be read"), message("name another place")),
    errno.ENOSPC: (message("its disk is full"), _ROOM),
    errno.EDQUOT: (message("this user's share of its disk is full"), _ROOM),
}


def why_unread(error: Exception) -> str:
    """Why a file could not be read as text: ``it is not there``."""
    if not isinstance(error, OSError):
        return message("it is no text in UTF-8")
    why, _fix = _REFUSED.get(error.errno or 0, (error.strerror or str(error), ""))
    return why


def system_fault(error: OSError) -> SystemFault:
    """``/x/a.db cannot be used: it is not there``; else in the system's own words."""
    path = error.filename2 or error.filename
    if path is None or error.errno not in _REFUSED:
        return SystemFault(str(error), message("check the path and the disk"))
    why, fix = _REFUSED[error.errno]
    return SystemFault(message(f"{path} cannot be used: {why}"), fix)
