"""An account of which some objects are shown malformed, wherever Stripe shows them.

The account itself knows them whole, as Stripe does: so its lists go on in order, and one
that is cured is shown well-formed again.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from tests.support.simulator import SimulatedAccount
from tests.support.simulator_rules import Params, Thing

MISSING = object()  # in the place of a value: the field is left out
Change = Callable[[Thing], Any]


def with_field(path: str, value: object) -> Change:
    """Show the field at ``items.data.0.price`` as ``value``; "" is the whole object."""

    def change(thing: Thing) -> Any:
        if not path:
            return value
        spoiled = deepcopy(thing)
        *above, last = (int(k) if k.isdecimal() else k for k in path.split("."))
        holder: Any = spoiled
        for key in above:
            if isinstance(holder, dict) and key not in holder:
                return thing  # shown without it, as it was not asked for
            holder = holder[key]
        if value is MISSING:
            del holder[last]
        else:
            holder[last] = value
        return spoiled

    return change


class SpoiledAccount(SimulatedAccount):
    """``spoils`` are by the object's id. Lines are objects, too."""

    def __init__(self, whole: SimulatedAccount, spoils: Mapping[str, Change]) -> None:
        super().__init__(whole.objects, whole.facts)
        self.spoils = spoils

    def answer(
        self, path: str, params: Params, *, method: str = "GET"
    ) -> tuple[int, Thing]:
        status, body = super().answer(path, params, method=method)
        if status != 200:
            return status, body
        if body.get("object") == "list":
            return status, {**body, "data": [self._spoilt(it) for it in body["data"]]}
        return status, self._spoilt(body)

    def _spoilt(self, thing: Thing) -> Any:
        change = self.spoils.get(thing["id"])
        return thing if change is None else change(thing)


def spoiled(
    account: SimulatedAccount, key: str, path: str, value: object
) -> SpoiledAccount:
    return SpoiledAccount(account, {key: with_field(path, value)})
