"""Random customers who use what is metered, beside what they pay in advance."""

from hypothesis import strategies as st

from tests.billing.catalogue import Price
from tests.billing.state import Item, Subscription
from tests.support.lives import (
    EVENTFUL,
    MODES,
    USUAL,
    Act,
    Life,
    Lived,
    beginnings,
    numbers,
    waits,
)

acts = st.builds(
    Act,
    waits,
    st.sampled_from((*EVENTFUL, *USUAL, *("use", "reprice", "remove") * 2)),
    numbers,
    numbers,
    numbers,
)
metered_lives = st.builds(
    lambda mode, first, rest: Life(mode, [first, *rest]),
    st.sampled_from(MODES),
    beginnings,
    st.lists(acts, min_size=1, max_size=9),
)


class MeteredLived(Lived):
    """``use`` reports usage; of the usual prices, some are metered.

    What is metered has no quantity to be resized.
    """

    def _prices(self) -> list[Price]:
        usual = super()._prices()
        product = self.account.add_product("Calls")
        calls = self.account.add_price(product, 3, metered=True)
        dearer = self.account.add_price(product, "4.5", metered=True)
        return [*usual[:6], calls, dearer, calls, usual[8]]

    def come_back(self, act: Act) -> None:
        """Unwatched, with licensed items alone.

        Stripe writes no line for a metered one before its first period is over (in
        flexible mode no invoice either): one that became licensed by then looks as if it
        had been so from the start, in days that were free.
        """
        if not self.is_watched:
            first = act._replace(one=0) if self._price(act.one).metered else act
            beside = self._like(self._price(first.one), act.two)
            act = first._replace(two=0) if beside.metered else first
        super().come_back(act)

    def use(self, sub: Subscription, act: Act) -> None:
        item = self._item(sub, act)
        if item.price.metered and sub.status != "paused":
            self.account.report_usage(item, 50 * (1 + act.two))

    def _prorated(self, item: Item, price: Price, act: Act) -> str:
        """Unwatched, a fee of another interval is billed at once after usage.

        Moved again before it was billed, nothing would show it: no credit takes it back.
        """
        is_begun = item.price.metered and not price.metered
        if is_begun and item.price.cycle != price.cycle and not self.is_watched:
            return "always_invoice"
        return super()._prorated(item, price, act)

    def remove(self, sub: Subscription, act: Act) -> None:
        """Unwatched, not what had a fee and is metered now, where an item is newer.

        No credit shows whether it made way for that one.
        """
        item = self._item(sub, act)
        is_newer = any(each.created > sub.created for each in sub.items)
        if self.is_watched or not (item.metered and item.price.metered and is_newer):
            super().remove(sub, act)

    def resize(self, sub: Subscription, act: Act) -> None:
        if not self._item(sub, act).price.metered:
            super().resize(sub, act)
