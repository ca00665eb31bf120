"""A file of customers and the company of each."""

import csv
from pathlib import Path

from connector.core.errors import ConfigError, why_unread
from connector.core.language import message

HEADING = ["customer", "account"]


def read_pairs(path: Path) -> dict[str, str]:
    """Lines of customer,account → customers with the company of each; a heading may be.

    Raises ``ConfigError`` with every fault.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        fault = (
            f"customers.account_file is {path}: it cannot be read: {why_unread(error)}"
        )
        raise ConfigError([fault], source="customers.account_file") from error
    faults: list[str] = []
    found: dict[str, str] = {}
    for number, row in enumerate(csv.reader(text.splitlines()), 1):
        told = [each.strip() for each in row]
        if not any(told) or (number == 1 and [x.lower() for x in told] == HEADING):
            continue
        if len(told) != len(HEADING) or not all(told):
            faults.append(
                message(f"line {number} of {path} is no pair of customer,account")
            )
        elif found.setdefault(told[0], told[1]) != told[1]:
            faults.append(
                message(
                    f"line {number} of {path} says that {told[0]} belongs to {told[1]}, "
                    f"and an earlier one says {found[told[0]]}"
                )
            )
    if faults:
        raise ConfigError(faults, source=str(path))
    return found
