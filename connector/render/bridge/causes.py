"""The words for each cause of a gap."""

from connector.reconcile.model import CellPart, GapCause

_WORDS = {
    GapCause.UNEXPLAINED: "unexplained",
    GapCause.POLICY: "",
    GapCause.USAGE: "",
    GapCause.TRIAL: "",
    GapCause.TAX: "",
    GapCause.CURRENCY: "",
    GapCause.ZONE: "",
    GapCause.DATE: "",
    GapCause.MISSING_THERE: "missing there",
    GapCause.MISSING_HERE: "missing here",
    GapCause.MOVED: "",
    GapCause.SET_ASIDE: "set aside here: an object without a value",
    GapCause.NOT_DERIVED: "not derived here yet",
    GapCause.RESTATED_HERE: "restated here since",
    GapCause.RESTATED_THERE: "restated there since",
    GapCause.REPEATED: "a line is there twice",
    GapCause.ROUNDING: "rounding",
}


def words(cause: GapCause, detail: str) -> str:
    """``repeating coupons ignored``, ``missing there: a customer is not there``."""
    named = _WORDS[cause]
    return f"{named}: {detail}" if named and detail else named or detail


def part_words(part: CellPart) -> str:
    """With what is this customer's own: ``as if tax counted (19%)``."""
    said = words(part.cause, part.detail)
    return f"{said} ({part.note})" if part.note else said
