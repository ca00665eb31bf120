"""Invoices, their lines and pending invoice items, with only the fields that MRR needs."""

import re
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Literal
from unicodedata import normalize

from msgspec.structs import force_setattr

from connector.stripe_api.decoding import (
    Base,
    Instant,
    ListOf,
    Minor,
    ObjectId,
    Ref,
    Units,
    check_decimal,
    ref,
)
from connector.stripe_api.objects import Discount, Price, SubscriptionItem, TaxBehavior

_NOTHING = Decimal(0)
# The types of nearly every line. One that equals a field's default is stored no less,
# unless it is the very same string.
_OF_ITEM, _OF_PRICE = "subscription_item_details", "price_details"
InvoiceStatus = Literal["draft", "open", "paid", "uncollectible", "void"]
NOT_DUE = ("draft", "void")

# Invoices


class Period(Base, frozen=True, kw_only=True):
    start: Instant
    end: Instant


class CreditedItems(Base, frozen=True, kw_only=True):
    invoice: str | None = None


class DiscountAmount(Base, frozen=True, kw_only=True):
    amount: Minor
    discount: str | Discount | None = None


class ProrationDetails(Base, frozen=True, kw_only=True):
    """``credited_items`` names what a credit takes back; None on a debit.

    ``discount_amounts`` are a pending item's.
    """

    credited_items: CreditedItems | None = None
    discount_amounts: list[DiscountAmount] = []  # noqa: RUF012 - each has its own


class ItemParent(Base, frozen=True, kw_only=True):
    """``subscription_item_details`` or ``invoice_item_details`` of a line."""

    subscription: str | Ref | None = None
    subscription_item: str | Ref | None = None
    invoice_item: str | Ref | None = None
    proration: bool = False
    proration_details: ProrationDetails | None = None


class LineParent(Base, frozen=True, kw_only=True):
    """``type`` is stored where it is another than that of nearly every line."""

    type: str | None = _OF_ITEM
    subscription_item_details: ItemParent | None = None
    invoice_item_details: ItemParent | None = None
    subscription_details: ItemParent | None = None


class PriceDetails(Base, frozen=True, kw_only=True):
    price: str | Price | None = None
    product: str | Ref | None = None


class Pricing(Base, frozen=True, kw_only=True):
    type: str | None = _OF_PRICE
    price_details: PriceDetails | None = None
    unit_amount_decimal: Decimal | None = None

    def __post_init__(self) -> None:
        if self.unit_amount_decimal is not None:
            check_decimal(self.unit_amount_decimal, "unit_amount_decimal")


class Tax(Base, frozen=True, kw_only=True):
    amount: Minor
    tax_behavior: TaxBehavior | None = None
    taxable_amount: Minor | None = None


class InvoiceLine(Base, frozen=True, kw_only=True):
    """``text_hash`` tells lines with another description apart, of no subscription item.

    The description itself is free text: no line holds it, and none is stored.
    ``quantity_decimal`` is None where ``quantity`` says the same.
    """

    id: ObjectId
    amount: Minor
    period: Period
    currency: str = ""
    quantity: Units | None = None
    quantity_decimal: Decimal | None = None
    parent: LineParent | None = None
    pricing: Pricing | None = None
    discounts: list[str | Discount] = []  # noqa: RUF012
    discount_amounts: list[DiscountAmount] | None = []  # noqa: RUF012
    taxes: list[Tax] | None = []  # noqa: RUF012
    text_hash: str | None = None
    description: Any = None

    def __post_init__(self) -> None:
        if self.quantity_decimal is not None:
            check_decimal(self.quantity_decimal, "quantity_decimal", least=_NOTHING)
        if self.description is not None:  # by Stripe; as stored it has none
            self._trim()

    def _trim(self) -> None:
        parent, pricing = self.parent, self.pricing
        if parent is None or parent.subscription_item_details is None:
            force_setattr(self, "text_hash", _hashed(self.description))
        force_setattr(self, "description", None)
        if self.quantity_decimal == self.quantity:
            force_setattr(self, "quantity_decimal", None)
        if parent is not None and parent.type == _OF_ITEM:
            force_setattr(parent, "type", _OF_ITEM)
        if pricing is not None and pricing.type == _OF_PRICE:
            force_setattr(pricing, "type", _OF_PRICE)

    @property
    def net_minor(self) -> int:
        """Without tax, after its discounts: as ``total_excluding_tax`` has it."""
        net_minor = self.amount
        for taken in self.discount_amounts or ():
            net_minor -= taken.amount
        for tax in self.taxes or ():
            if tax.tax_behavior == "inclusive":
                net_minor -= tax.amount
        return net_minor


# Words that change from one month's line to the next, and do not make it another: the
# months in the languages of Stripe's invoices (by CLDR; Japanese, Korean and Chinese
# write numbers), their common short forms, and the endings of "1st", "2nd", "3rd", "4th".
_DATE_WORDS = (
    "january february march april may june july august september october november"
    " december januar februar märz mai juni juli oktober dezember janvier février mars"
    " avril juin juillet août septembre octobre novembre décembre enero febrero marzo"
    " abril mayo junio julio agosto septiembre octubre noviembre diciembre gennaio"
    " febbraio aprile maggio giugno luglio settembre ottobre dicembre januari februari"
    " maart mei augustus janeiro fevereiro março maio junho julho setembro outubro"
    " novembro dezembro marts maj desember augusti tammikuuta helmikuuta maaliskuuta"
    " huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta syyskuuta lokakuuta"
    " marraskuuta joulukuuta tammikuu helmikuu maaliskuu huhtikuu toukokuu kesäkuu"
    " heinäkuu elokuu syyskuu lokakuu marraskuu joulukuu stycznia lutego marca"
    " kwietnia maja czerwca lipca sierpnia września października listopada grudnia"
    " styczeń luty marzec kwiecień czerwiec lipiec sierpień wrzesień październik"
    " listopad grudzień ledna února března dubna května června července srpna září"
    " října listopadu prosince leden únor březen duben květen červen červenec srpen"
    " říjen prosinec januára februára apríla mája júna júla augusta septembra októbra"
    " novembra decembra január február marec apríl máj jún júl október március április"
    " május június július augusztus szeptember ianuarie februarie martie aprilie iunie"
    " iulie septembrie octombrie noiembrie decembrie siječnja veljače ožujka travnja"
    " svibnja lipnja srpnja kolovoza rujna studenoga prosinca siječanj veljača ožujak"
    " travanj svibanj lipanj srpanj kolovoz rujan studeni prosinac junij julij avgust"
    " jaanuar veebruar märts aprill juuni juuli oktoober detsember janvāris februāris"
    " aprīlis maijs jūnijs jūlijs augusts septembris oktobris novembris decembris"
    " sausio vasario kovo balandžio gegužės birželio liepos rugpjūčio rugsėjo spalio"
    " lapkričio gruodžio sausis vasaris kovas balandis gegužė birželis liepa rugpjūtis"
    " rugsėjis spalis lapkritis gruodis ocak şubat mart nisan mayıs haziran temmuz"
    " ağustos eylül ekim kasım aralık ιανουαρίου φεβρουαρίου μαρτίου απριλίου μαΐου"
    " ιουνίου ιουλίου αυγούστου σεπτεμβρίου οκτωβρίου νοεμβρίου δεκεμβρίου ιανουάριος"
    " φεβρουάριος μάρτιος απρίλιος μάιος ιούνιος ιούλιος αύγουστος σεπτέμβριος"
    " οκτώβριος νοέμβριος δεκέμβριος януари февруари март април май юни юли август"
    " септември октомври ноември декември января февраля марта апреля мая июня июля"
    " августа сентября октября ноября декабря январь февраль апрель июнь июль сентябрь"
    " октябрь ноябрь декабрь jänner setiembre jan feb mar apr jun jul aug sep sept oct"
    " nov dec mär mrz okt dez janv févr avr juil déc ene abr dic genn febbr magg lugl"
    " mrt fev des"
    " st nd rd th"
)
_OF_DATES = frozenset(_DATE_WORDS.split())


def _hashed(text: object) -> str | None:
    """The same for the same words, dates and numbers left out; None where none are left.

    Four bytes of a hash: enough to tell one customer's lines apart, and too few to say
    which of all texts it was.
    """
    plain = normalize("NFC", str(text)).lower()
    words = [w for w in re.findall(r"[^\W\d_]+", plain) if w not in _OF_DATES]
    if not words:
        return None
    return blake2b(" ".join(words).encode(), digest_size=4).hexdigest()


class StatusTransitions(Base, frozen=True, kw_only=True):
    finalized_at: Instant | None = None
    paid_at: Instant | None = None
    marked_uncollectible_at: Instant | None = None


class InvoiceParent(Base, frozen=True, kw_only=True):
    type: str | None = "subscription_details"
    subscription_details: ItemParent | None = None


class Invoice(Base, frozen=True, kw_only=True):
    id: ObjectId
    customer: str | Ref | None = None
    customer_account: str | Ref | None = None
    created: Instant = 0
    currency: str = ""
    status: InvoiceStatus | None = None
    due_date: Instant | None = None
    parent: InvoiceParent | None = None
    status_transitions: StatusTransitions | None = None
    discounts: list[str | Discount] = []  # noqa: RUF012
    lines: ListOf[InvoiceLine] = ListOf()

    @property
    def subscription(self) -> str:
        """The one it bills; "" for none."""
        details = self.parent.subscription_details if self.parent else None
        return ref(details.subscription) if details is not None else ""

    @property
    def is_due(self) -> bool:
        return self.status not in NOT_DUE

    @property
    def billed_s(self) -> int:
        """When it was finalized; of a draft, or where Stripe does not say: created."""
        moments = self.status_transitions
        return (moments.finalized_at if moments is not None else None) or self.created

    @property
    def paid_at(self) -> int | None:
        return self.status_transitions.paid_at if self.status_transitions else None


class InvoiceHead(Base, frozen=True, kw_only=True):
    """What an invoice bills as a whole, of which nothing is known to fit."""

    created: Any = None
    currency: Any = None
    status: Any = None
    status_transitions: Any = None
    total_excluding_tax: Any = None


class InvoiceItem(Base, frozen=True, kw_only=True):
    """``invoice`` None is pending: it waits for the next invoice."""

    id: ObjectId
    amount: Minor
    date: Instant
    period: Period
    customer: str | Ref | None = None
    customer_account: str | Ref | None = None
    currency: str = ""
    proration: bool = False
    quantity: Units | None = None
    quantity_decimal: Decimal | None = None
    parent: LineParent | None = None
    pricing: Pricing | None = None
    proration_details: ProrationDetails | None = None
    discounts: list[str | Discount] | None = None
    invoice: str | None = None

    def __post_init__(self) -> None:
        if self.quantity_decimal is not None:
            check_decimal(self.quantity_decimal, "quantity_decimal", least=_NOTHING)


def units_of(thing: SubscriptionItem | InvoiceLine | InvoiceItem) -> Decimal:
    """Its quantity, which is one where it says none."""
    if thing.quantity_decimal is not None:
        return thing.quantity_decimal
    return _decimal(1 if thing.quantity is None else thing.quantity)


_decimal = lru_cache(maxsize=1_024)(Decimal)  # many lines bill few quantities
