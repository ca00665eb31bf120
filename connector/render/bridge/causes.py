"""The words for each cause of a gap."""

from connector.core.language import _, marked
from connector.reconcile.model import CellPart, GapCause

_WORDS = {
    GapCause.UNEXPLAINED: marked("unexplained"),
    GapCause.POLICY: "",
    GapCause.USAGE: "",
    GapCause.TRIAL: "",
    GapCause.TAX: "",
    GapCause.CURRENCY: "",
    GapCause.ZONE: "",
    GapCause.DATE: "",
    GapCause.MISSING_THERE: marked("missing there"),
    GapCause.MISSING_HERE: marked("missing here"),
    GapCause.MOVED: "",
    GapCause.SET_ASIDE: marked("set aside here: an object without a value"),
    GapCause.NOT_DERIVED: marked("not derived here yet"),
    GapCause.RESTATED_HERE: marked("restated here since"),
    GapCause.RESTATED_THERE: marked("restated there since"),
    GapCause.REPEATED: marked("a line is there twice"),
    GapCause.ROUNDING: marked("rounding"),
}


def words(cause: GapCause, detail: str) -> str:
    """``repeating coupons ignored``, ``missing there: a customer is not there``."""
    named = _WORDS[cause] and _(_WORDS[cause])
    return f"{named}: {detail}" if named and detail else named or detail


def part_words(part: CellPart) -> str:
    """With what is this customer's own: ``as if tax counted (19%)``."""
    said = words(part.cause, part.detail)
    return f"{said} ({part.note})" if part.note else said
