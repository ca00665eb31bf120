"""What prices cost a unit, as the subscription's lines and currency have it."""

from collections.abc import Sequence
from decimal import Decimal
from functools import cached_property

from connector.core.model import Tariff
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.history import Catalogue
from connector.mrr.pricing import is_whole_period, tariff, tariff_as_billed
from connector.stripe_api.decoding import ref
from connector.stripe_api.objects import Price


class Tariffs:
    """Those of one subscription, each read once: the items keep theirs for long."""

    def __init__(
        self, catalogue: Catalogue, currency: str, line_items: Sequence[LineItem]
    ) -> None:
        self.catalogue, self.currency = catalogue, currency
        self._line_items = line_items
        self._read: dict[tuple[str, Decimal | None], Tariff] = {}

    def tariff(
        self, price: Price, quantity: Decimal, unit_amount_minor: Decimal | None
    ) -> Tariff:
        """Or ``Unvalued``; of tiers that Stripe does not show, as they were billed."""
        currency = self.currency or price.currency
        if price.lacks_tiers_in(currency):
            billed = self._billed_whole.get((price.id, quantity))
            if billed is not None:
                return tariff_as_billed(price, currency, billed)
        key = (price.id, unit_amount_minor)
        if key not in self._read:
            product = self.catalogue.products.get(ref(price.product))
            self._read[key] = tariff(
                price,
                currency,
                unit_amount_minor=unit_amount_minor,
                unit_label=(product.unit_label or "") if product is not None else "",
            )
        return self._read[key]

    @cached_property
    def _billed_whole(self) -> dict[tuple[str, Decimal], int]:
        """What whole periods cost, by price and quantity, where no tiers are shown."""
        prices = self.catalogue.prices
        return {
            (line.price, line.quantity): line.amount_minor
            for line in self._line_items
            if line.is_regular
            and line.amount_minor
            and (price := prices.get(line.price)) is not None
            and price.tiers
            and price.lacks_tiers_in(line.currency)
            and is_whole_period(price, line.start_s, line.end_s)
        }
