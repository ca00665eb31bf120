"""Templates → text: one environment for the page and the dashboard, which escapes all.

A style or script that is written into a page goes with its hash, by which the page's
Content-Security-Policy lets it in, and nothing else.
"""

import base64
import hashlib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from connector.core.language import _, ngettext, pgettext
from connector.core.text import printable
from connector.render.page.filters import filters


class Inlined(NamedTuple):
    """A text of our own for inside a page, and the hash that a policy names it by."""

    text: Markup
    hash: str


def inlined(text: str) -> Inlined:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Inlined(Markup(text), f"sha256-{digest}")  # noqa: S704 - ours, never data


def environment(
    locale: str, own: Callable[[str], str | None] = lambda _name: None
) -> Environment:
    """``own`` gives a template by its name before those of this package are looked at."""
    found = Environment(
        loader=FunctionLoader(lambda name: own(name) or template(name)),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_plain,
    )
    found.filters |= filters(locale)
    install = vars(found)["install_gettext_callables"]  # the extension adds it
    install(_, ngettext, newstyle=True, pgettext=pgettext)
    return found


def _plain(value: object) -> object:
    """Before it is escaped: one line, in which no character turns the text around it."""
    return printable(value) if type(value) is str else value


@cache
def template(name: str) -> str:
    return template_of(__package__, name)


def template_of(package: str, name: str) -> str:
    """A template's source, as it lies in a package's folder ``templates``."""
    folder = files(package).joinpath("templates")
    return folder.joinpath(name).read_text("utf-8").rstrip("\n")
