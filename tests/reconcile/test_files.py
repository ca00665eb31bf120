"""Files as spreadsheets, browsers and other tools write them: read rightly, or refused.

Every reading is of the same figures: a refusal names what the file is, and what to do.
"""

import gzip
import io
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from connector.core.errors import UsageFault
from connector.reconcile.files.tables import open_file
from connector.reconcile.model import GapCause, Reconciliation
from connector.reconcile.reconcile import reconcile_files
from connector.reports.ledger import Ledger
from tests.billing.stripe_mrr import StripeSettings, by_month, stripe_mrr
from tests.support.big_account import ZONE, big_account, big_ledger

CUSTOMERS = 40
OURS = StripeSettings(repeating_subtracted=True)


class Figure(NamedTuple):
    customer: str
    currency: str
    month: str
    minor: int

    @property
    def major(self) -> str:
        return f"{self.minor / 100:.2f}"

    @property
    def first(self) -> date:
        return date.fromisoformat(f"{self.month}-01")

    @property
    def last(self) -> date:
        return days_of(self.month)[-1]


def figures() -> list[Figure]:
    account = big_account(CUSTOMERS)
    months = by_month(stripe_mrr(account, OURS), account.now, ZONE)
    return [
        Figure(*grain, month, minor)
        for grain, own in months.items()
        for month, minor in own.items()
        if minor and month < "2026-11"
    ]


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    with big_ledger(CUSTOMERS) as found:
        yield found


def read(ledger: Ledger, folder: Path, content: str | bytes) -> Reconciliation:
    path = folder / "given.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    [done] = reconcile_files(ledger, [path])
    return done


def lines(
    head: str, line: Callable[[Figure], str], rows: Sequence[Figure] | None = None
) -> str:
    every = figures() if rows is None else rows
    return "".join(f"{each}\n" for each in (head, *map(line, every)))


def german(minor: int) -> str:
    return f"{minor / 100:,.2f}".translate(str.maketrans(",.", ".,"))


def days_of(month: str) -> list[date]:
    first = date.fromisoformat(f"{month}-01")
    following = (first + timedelta(days=31)).replace(day=1)
    return [first + timedelta(days=n) for n in range((following - first).days)]


def dated(write: Callable[[Figure], str]) -> str:
    return lines(
        "customer;month;mrr;currency",
        lambda f: f"{f.customer};{write(f)};{f.major};{f.currency}",
    )


def pivoted(head: Callable[[date], str]) -> str:
    """A column a month, in semicolons."""
    months = sorted({each.first for each in figures()})
    rows: dict[tuple[str, str], dict[date, str]] = {}
    for each in figures():
        rows.setdefault((each.customer, each.currency), {})[each.first] = each.major
    return "\n".join(
        [
            ";".join(["Customer ID", "Currency", *map(head, months)]),
            *(
                ";".join([*grain, *(own.get(month, "0") for month in months)])
                for grain, own in rows.items()
            ),
        ]
    )


LINKS = ("'{}", "Somebody ({})", "https://dashboard.stripe.com/customers/{}")
GERMAN = (
    *("Jan", "Feb", "Mär", "Apr", "Mai", "Jun"),
    *("Jul", "Aug", "Sep", "Okt", "Nov", "Dez"),
)

READ: dict[str, str | bytes] = {
    "first days with dots": dated(lambda f: f"{f.first:%d.%m.%Y}"),
    "first days with slashes, the day first": dated(lambda f: f"{f.first:%d/%m/%Y}"),
    "first days with slashes, the month first": dated(lambda f: f"{f.first:%m/%d/%Y}"),
    "years of two digits": dated(lambda f: f"{f.last:%m/%d/%y}"),
    "days in words": dated(lambda f: f"{f.last:%b %d, %Y}"),
    "days in words, the day first": dated(lambda f: f"{f.last:%d %B %Y}"),
    "days without marks": dated(lambda f: f"{f.last:%Y%m%d}"),
    "columns of last days with slashes": pivoted(
        lambda m: f"{days_of(str(m)[:7])[-1]:%m/%d/%Y}"
    ),
    "columns of first days with slashes": pivoted(lambda m: f"{m:%d/%m/%Y}"),
    "columns of first days with dots": pivoted(lambda m: f"{m:%d.%m.%Y}"),
    "columns of days in words": pivoted(lambda m: f"{m:%b %d, %Y}"),
    "columns of German months": pivoted(lambda m: f"{GERMAN[m.month - 1]} {m.year}"),
    "heads in German": lines(
        "Kundennummer;Monat;Betrag;Währung",
        lambda f: f"{f.customer};{f.month};{german(f.minor)};{f.currency}",
    ),
    "titles above the heads": 'MRR per subscriber per month\n"as of November"\n\n'
    + lines(
        "customer;month;mrr;currency",
        lambda f: f"{f.customer};{f.month};{f.major};{f.currency}",
    ),
    "links, names and marks around the ids": lines(
        "customer,month,mrr,currency",
        lambda f: (
            f"{LINKS[f.minor % 3].format(f.customer)},{f.month},{f.major},{f.currency}"
        ),
    ),
    "totals in between": lines(
        "customer,month,mrr,currency",
        lambda f: (
            f"Total,{f.month},9.99,{f.currency}\n"
            f"{f.customer},{f.month},{f.major},{f.currency}"
        ),
    ),
    "minor units with decimals, said by the head": lines(
        "customer_id,month,mrr_cents,currency",
        lambda f: f"{f.customer},{f.month},{f.minor}.25,{f.currency}",
    ),
    "a byte order mark and semicolons": "\ufeff"
    + lines(
        "Customer ID;Month;MRR;Currency",
        lambda f: f"{f.customer};{f.month};{german(f.minor)};{f.currency}",
    ),
    "whole thousands beside decimal commas": lines(
        "Customer ID;Month;MRR;Currency",
        lambda f: (
            f"{f.customer};{f.month};{german(f.minor).removesuffix(',00')};{f.currency}"
        ),
    ),
    "a line that names the separator": "sep=;\n"
    + lines(
        "customer;month;mrr;currency",
        lambda f: f"{f.customer};{f.month};{f.major};{f.currency}",
    ),
    "line ends in names and in heads": lines(
        '"Customer\nName","Customer\nID",Month,"MRR\n(in USD)",Currency',
        lambda f: f'"A, B\n& C",{f.customer},{f.month},{f.major},{f.currency}',
    ),
    "names in Windows' own letters": lines(
        "Customer Name,Customer ID,Month,MRR,Currency",
        lambda f: f"Müller & Söhne,{f.customer},{f.month},{f.major},{f.currency}",
    ).encode("cp1252"),
    "minor units, said by the head": lines(
        "customer_id,month,mrr_cents,currency",
        lambda f: f"{f.customer},{f.month},{f.minor},{f.currency}",
    ),
    "minor units, said by nothing": lines(
        "Subscriber ID,Period,Monthly Recurring Revenue,Currency Code",
        lambda f: (
            f"{f.customer},{f.month.replace('-', '')},{f.minor},{f.currency.upper()}"
        ),
    ),
    "a name before the id": lines(
        "Customer,Stripe Customer ID,Month,Amount,MRR,Currency",
        lambda f: f"Somebody,{f.customer},{f.month},1,{f.major},{f.currency}",
    ),
    "ids in a column of another name": lines(
        "Source,Customer Email,Month,MRR,Currency",
        lambda f: f"{f.customer},a@example.com,{f.month},{f.major},{f.currency}",
    ),
    "amounts with the currency's sign": lines(
        "CUSTOMER,MONTH,MRR,CURRENCY",
        lambda f: (
            f'{f.customer},{f.month},"{"$€"[f.currency == "eur"]}{f.minor / 100:,.2f}",'
            f"{f.currency}"
        ),
    ),
    "months in words": lines(
        "customer,month,mrr,currency",
        lambda f: (
            f"{f.customer},{date.fromisoformat(f'{f.month}-01'):%b %Y},"
            f"{f.major},{f.currency}"
        ),
    ),
    "UTF-16 with tabs, as Excel's Unicode text": lines(
        "Customer ID\tMonth\tMRR\tCurrency",
        lambda f: f"{f.customer}\t{f.month}\t{german(f.minor)}\t{f.currency}",
    ).encode("utf-16"),
    "UTF-32": dated(lambda f: f.month).encode("utf-32"),
    "spaces before quotes": lines(
        "customer, month, mrr, currency",
        lambda f: (
            f'"{f.customer}", "{f.month}", "{f.minor / 100:,.2f}", "{f.currency}"'
        ),
    ),
    "commas in a head between semicolons": lines(
        "Customer (name, or id, or both, or none);month;mrr;currency",
        lambda f: f"{f.customer};{f.month};{f.major};{f.currency}",
    ),
    "dashes of accountants": lines(
        "customer,month,mrr,currency",
        lambda f: (
            f'{f.customer},{f.month}," $ {f.minor / 100:,.2f} ",{f.currency}\n'
            f"{f.customer},2023-01, $ -   ,{f.currency}"
        ),
    ),
    "when it was exported, below": dated(lambda f: f.month)
    + "\nExported on 2 Nov 2026\n",
    "the heads again in between": "\n".join(
        [
            *dated(lambda f: f.month).splitlines()[:9],
            *dated(lambda f: f.month).splitlines()[:1],
            *dated(lambda f: f.month).splitlines()[9:],
        ]
    ),
    "columns of a database": pivoted(lambda m: f"mrr_{m:%Y_%m}"),
    "columns of a pivot table": pivoted(lambda m: f"Sum of {m:%b %Y}"),
    "moments": dated(lambda f: f"{f.last}T00:00:00.000Z"),
    "old Macs' line ends": dated(lambda f: f.month).replace("\n", "\r"),
    "months kept as text": dated(lambda f: f"'{f.month}"),
    "months with a hyphen that does not break": dated(
        lambda f: f.month.replace("-", "\N{NON-BREAKING HYPHEN}")
    ),
    **{
        f"a line of {name!r} below": dated(lambda f: f.month)
        + f"{name};2026-05;99999.00;usd\n"
        for name in (
            *(
                "Sum",
                "TOTAL:",
                "total",
                "Totals for 40 customers",
                "Subtotal",
                "Overall",
            ),
            *("All customers", "Gesamtsumme", "Insgesamt", "Grand total (USD)"),
        )
    },
    "blank lines and a total below": lines(
        "customer,month,mrr,currency",
        lambda f: f"\n{f.customer},{f.month},{f.major},{f.currency}",
    )
    + "\nTotal,,,\n".replace("Total", "")
    + ",2026-01,99999.00,usd\n",
}


@pytest.mark.parametrize("form", READ)
def test_the_same_figures_however_written(
    ledger: Ledger, tmp_path: Path, form: str
) -> None:
    done = read(ledger, tmp_path, READ[form])
    assert not done.cells
    assert done.compared > 300
    assert done.files[0].is_minor is ("minor units" in form)


def zipped(name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, "customer,month,mrr\n")
    return out.getvalue()


REFUSED = {
    "empty": (b"", "is empty"),
    "blank": (b"\xef\xbb\xbf\r\n \r\n", "is empty|columns"),
    "a zip": (zipped("mrr.csv"), "ZIP archive.*unpack"),
    "a workbook": (zipped("xl/workbook.xml"), "Excel workbook.*CSV"),
    "gzip": (gzip.compress(b"customer,month,mrr\n"), "gzip.*unpack"),
    "an old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel"),
    "a page to sign in": (b"<!doctype html><title>Sign in</title>", "web page"),
    "JSON": (b'{"data": []}', "JSON"),
    "no text": (b"a,b\x00\x01\n", "not a text"),
    "the same month twice": (
        b"customer,2026-01,2026-02,Jan 2026\ncus_1,1,2,3\n",
        "2026-01 and Jan 2026",
    ),
    "two columns of MRR": (
        b"customer,month,MRR,mrr\ncus_1,2026-01,1,2\n",
        "MRR and mrr",
    ),
    "no currency": (
        b"customer,month,mrr,currency\ncus_1,2026-01,1,US dollar\n",
        "dollar",
    ),
    "no amount": (b"customer,month,mrr\ncus_1,2026-01,many\n", "line 2.*'many'"),
    "a line after a long one": (
        b'customer,name,month,mrr\ncus_1,"a\nb\nc",2026-01,1\ncus_1,x,soon,1\n',
        "line 5.*'soon'",
    ),
    "an amount with a comma": (
        b"customer,month,mrr\ncus_1,2026-01,5\ncus_1,2026-02,1,234.00\n",
        "line 3.*4 columns and the first line 3.*quotes",
    ),
    "a line cut off": (b"customer,month,mrr\ncus_1\n", "line 2.*names no day"),
    "a quote that nothing closes": (
        b'customer,name,month,mrr\ncus_1,"Acme,2026-01,1\ncus_2,B,2026-01,1\n',
        "from line.*quote of which is closed",
    ),
    "a quote that the next line's closes": (
        b'customer,name,month,mrr\ncus_1,"A,2026-01,1\ncus_2,"B,2026-01,1\ncus_3,C,2026-01,1\n',
        "from line 2.*quote of which is closed",
    ),
    "a field of a book's length": (
        b"customer,name,month,mrr\ncus_1," + b"x" * 200_000 + b",2026-01,1\n",
        "from line 2.*field",
    ),
    "days as Excel counts them": (
        b"customer,month,mrr\ncus_1,46112,1\n",
        "line 2.*'46112'.*format the column as dates",
    ),
    "days of which both can be the month": (
        b"customer,date,mrr_change\ncus_1,03/04/2026,1\ncus_1,05/06/2026,1\n",
        "column date.*2026-03-31",
    ),
    "changes of one January's first days": (
        b"customer,date,mrr_change\ncus_1,01/05/2026,1\ncus_1,01/07/2026,1\n",
        "column date.*2026-03-31",
    ),
    "UTF-16 without a mark": (
        "customer,month,mrr\ncus_1,2026-01,1\n".encode("utf-16-le"),
        "not a text",
    ),
    "months without a year": (
        b"customer,Jan,Feb\ncus_1,1,2\n",
        "columns customer, Jan, Feb.*2026-03",
    ),
    "a column of no month": (
        b"customer,Margin 2026\ncus_1,5\n",
        "columns customer, Margin 2026",
    ),
    "no heads": (b"cus_1,2026-01,5.00\n", "columns cus_1, 2026-01, 5.00"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_it_is_and_what_to_do(ledger: Ledger, tmp_path: Path, form: str) -> None:
    content, said = REFUSED[form]
    with pytest.raises(UsageFault) as caught:
        read(ledger, tmp_path, content)
    fault = caught.value
    assert re.search(said, f"{fault.problem}; {fault.fix}", re.DOTALL), fault.problem
    assert fault.fix
    assert fault.exit_code == 2


@pytest.mark.parametrize(
    ("amounts", "has_commas"),
    [
        (("1.234", "500"), True),
        (("12.500", "1.234.567", "7"), True),
        (("1.234", "2.345"), False),  # three decimals, for all one can see
        (("1.234", "500", "0.5"), False),
        (("0.500", "7"), False),
        (("1.234", "0"), False),
        (("12,5", "7"), True),
        (("1.234", "500", "7.25"), False),
    ],
)
def test_a_dot_before_three_digits_is_told_by_the_others(
    tmp_path: Path, *, amounts: Sequence[str], has_commas: bool
) -> None:
    path = tmp_path / "given.csv"
    rows = [f"cus_1;2026-{n:02d};{amount}" for n, amount in enumerate(amounts, 1)]
    path.write_text("\n".join(["customer;month;mrr", *rows]), "utf-8")
    assert open_file(path).has_commas is has_commas


def test_dinars_have_three_decimals_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "given.csv"
    path.write_text(
        "customer;month;mrr;currency\ncus_1;2026-01;1.234;KWD\ncus_1;2026-02;500;KWD\n",
        "utf-8",
    )
    assert not open_file(path).has_commas


# --- a line a day ---


def recent() -> list[Figure]:
    return [each for each in figures() if each.month >= "2026-07"]


def daily(except_last: str = "") -> str:
    """Every day of four months: other amounts until a month's last day."""
    rows = ["date,customer,currency,mrr"]
    for each in recent():
        *before, last = days_of(each.month)
        rows += [f"{day},{each.customer},{each.currency},1.23" for day in before]
        if each.month != except_last:
            rows.append(f"{last},{each.customer},{each.currency},{each.major}")
    return "\n".join(rows) + "\n"


def test_of_a_line_a_day_the_months_last_is_its_end(
    ledger: Ledger, tmp_path: Path
) -> None:
    done = read(ledger, tmp_path, daily())
    assert not done.cells
    assert any("a line a day" in note for note in done.notes)


def test_a_month_without_its_last_day_is_left_out_and_named(
    ledger: Ledger, tmp_path: Path
) -> None:
    done = read(ledger, tmp_path, daily(except_last="2026-09"))
    assert not done.cells
    assert any(note.endswith("not there: 2026-09.") for note in done.notes)
    assert {month.month.month for month in done.months} == {7, 8, 10}


WEEKLY = "".join(
    f"cus_1,2026-{month:02d}-{day:02d},5\n"
    for month in (3, 4)
    for day in (2, 9, 16, 23)
)
CHANGED = "".join(
    f"cus_{n},2026-03-{n % 29 + 1:02d},5\ncus_{n},2026-03-31,7\n" for n in range(60)
)


@pytest.mark.parametrize(
    "text",
    [pytest.param(WEEKLY, id="weeks"), pytest.param(CHANGED, id="when it changes")],
)
def test_days_that_do_not_tell_a_months_end_are_refused(
    ledger: Ledger, tmp_path: Path, text: str
) -> None:
    with pytest.raises(UsageFault, match="several days of 2026-03") as caught:
        read(ledger, tmp_path, f"customer,date,mrr\n{text}")
    assert "month's end" in caught.value.fix


def test_a_line_a_customer_and_month_may_be_of_any_day(
    ledger: Ledger, tmp_path: Path
) -> None:
    text = lines(
        "customer,date,mrr,currency",
        lambda f: (
            f"{f.customer},{f.month}-{len(f.month) + f.minor % 20:02d},"
            f"{f.major},{f.currency}"
        ),
    )
    done = read(ledger, tmp_path, text)
    assert not done.cells


# --- what there is not ---


def written(rows: Sequence[Figure], factor: float = 1, *, named: bool = True) -> str:
    code = ",currency" if named else ""
    return lines(
        f"customer,month,mrr{code}",
        lambda f: (
            f"{f.customer},{f.month},{f.minor * factor / 100:.2f}"
            + (f",{f.currency}" if named else "")
        ),
        rows,
    )


def causes(done: Reconciliation) -> set[GapCause]:
    return {part.cause for cell in done.cells for part in cell.parts}


@pytest.mark.parametrize("form", ["lines", "columns"])
def test_a_month_of_which_nothing_is_there_is_named(
    ledger: Ledger, tmp_path: Path, form: str
) -> None:
    """Such as a column whose month is not understood: it is no month of zeros."""
    text = (
        written([each for each in figures() if each.month != "2026-03"])
        if form == "lines"
        else pivoted(lambda m: "marzo 26" if m == date(2026, 3, 1) else f"{m:%Y-%m}")
    )
    done = read(ledger, tmp_path, text)
    assert not done.cells
    assert [note for note in done.notes if "2026-03" in note]
    assert form == "lines" or "marzo 26" in done.files[0].ignored


def test_what_ours_says_of_a_customer_who_pays_later(
    ledger: Ledger, tmp_path: Path
) -> None:
    """A month before its first, in a file that ends with it."""
    known = {each.customer: each.month for each in reversed(figures())}
    [(customer, month)] = [*known.items()][:1]
    before = f"{customer},2023-01,5.00,usd\n"
    done = read(ledger, tmp_path, f"customer,month,mrr,currency\n{before}")
    assert done.unexplained == 1
    assert f"{int(month[:4])}" in done.statements[customer]


def test_who_is_not_there_lacks_no_subscription(ledger: Ledger, tmp_path: Path) -> None:
    some = sorted({each.customer for each in figures()})[::2]
    done = read(ledger, tmp_path, written([e for e in figures() if e.customer in some]))
    told = {part for cell in done.cells for part in cell.parts}
    lacking = {part.detail for part in told if part.cause == GapCause.MISSING_THERE}
    assert lacking == {"a customer is not there"}


# --- another currency, which the file does not name ---


def test_all_in_another_currency_without_a_name(ledger: Ledger, tmp_path: Path) -> None:
    """Ours of most customers are dollars, and none of theirs is."""
    done = read(ledger, tmp_path, written(figures(), 0.83, named=False))
    assert (done.unexplained, causes(done)) == (0, {GapCause.CURRENCY})
    assert done.differing == done.compared
    assert done.preset is None


def test_most_customers_converted_to_the_currency_of_few(
    ledger: Ledger, tmp_path: Path
) -> None:
    dollars = [each for each in figures() if each.currency == "usd"]
    rows = [
        each._replace(minor=round(each.minor * 0.9)) if each in dollars else each
        for each in figures()
    ]
    done = read(ledger, tmp_path, written(rows, named=False))
    assert (done.unexplained, causes(done)) == (0, {GapCause.CURRENCY})
    assert {cell.currency for cell in done.cells} == {"usd"}


def test_one_customers_amounts_at_a_ratio_are_no_rate(
    ledger: Ledger, tmp_path: Path
) -> None:
    whom = next(each.customer for each in figures() if each.currency == "eur")
    rows = [
        each._replace(minor=round(each.minor * 1.137))
        if each.customer == whom
        else each
        for each in figures()
    ]
    done = read(ledger, tmp_path, written(rows, named=False))
    assert {cell.customer.id for cell in done.cells} == {whom}
    assert done.unexplained == done.differing


def test_a_years_amounts_are_no_rate(ledger: Ledger, tmp_path: Path) -> None:
    done = read(ledger, tmp_path, written(figures(), 12, named=False))
    assert done.unexplained == done.differing == done.compared


# --- customers by another name ---


@pytest.fixture
def labels(ledger: Ledger) -> Iterator[dict[str, str]]:
    """Everybody has a label; two have the same one. By id."""
    run = ledger.connection.execute
    run("SAVEPOINT labelled")
    run("UPDATE customers SET label = 'Customer, ' || key")
    run("UPDATE customers SET label = 'Twins' WHERE key IN (4, 5)")
    yield dict(run("SELECT id, label FROM customers").fetchall())
    run("ROLLBACK TO labelled")
    run("RELEASE labelled")


def by_label(labels: dict[str, str], rows: Sequence[Figure]) -> str:
    return lines(
        "Customer,Month,MRR,Currency",
        lambda f: f'"{labels[f.customer]}",{f.month},{f.major},{f.currency}',
        rows,
    )


def test_customers_named_by_their_labels_are_found(
    ledger: Ledger, tmp_path: Path, labels: dict[str, str]
) -> None:
    alone = [each for each in figures() if labels[each.customer] != "Twins"]
    done = read(ledger, tmp_path, by_label(labels, alone))
    assert {labels[cell.customer.id] for cell in done.cells} == {"Twins"}
    assert any("named by label" in note for note in done.notes)


def test_a_label_of_several_customers_is_none_of_theirs(
    ledger: Ledger, tmp_path: Path, labels: dict[str, str]
) -> None:
    done = read(ledger, tmp_path, by_label(labels, figures()))
    twins = {customer for customer, label in labels.items() if label == "Twins"}
    assert {cell.customer.id for cell in done.cells} == {*twins, "Twins"}
    [note] = [each for each in done.notes if "Twins" in each]
    assert "cus_" in note


def test_a_file_without_any_amount(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="no amount"):
        read(ledger, tmp_path, "customer,month,mrr\ncus_1,2026-01,0\n")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("a{n}@example.com", "e-mail", id="e-mail"),
        pytest.param("Nobody {n}", "not named by Stripe's ids", id="names"),
        pytest.param(
            "cus_elsewhere{n}", "such as cus_elsewhere", id="another account's"
        ),
    ],
)
def test_customers_whom_nobody_knows_are_no_finding_but_an_error(
    ledger: Ledger, tmp_path: Path, name: str, said: str
) -> None:
    text = "".join(f"{name.format(n=n)},2026-01,5\n" for n in range(9))
    with pytest.raises(UsageFault, match=said) as caught:
        read(ledger, tmp_path, f"customer,month,mrr\n{text}")
    assert "cus_" in caught.value.fix


def test_where_most_are_not_known_it_is_said_first(
    ledger: Ledger, tmp_path: Path
) -> None:
    some = sorted({each.customer for each in figures()})[:5]
    rows = [each for each in figures() if each.month == "2026-05"]
    text = lines(
        "customer,month,mrr,currency",
        lambda f: (
            f"{f.customer if f.customer in some else f'{f.customer}@example.com'},"
            f"{f.month},{f.major},{f.currency}"
        ),
        rows,
    )
    done = read(ledger, tmp_path, text)
    assert "are not in this ledger" in done.notes[0]


# --- several files ---


def test_a_newer_files_0_is_what_it_says_now(ledger: Ledger, tmp_path: Path) -> None:
    """Not the amount of the older one, which had it before it was restated."""
    rows = [each for each in figures() if each.month in ("2026-04", "2026-05")]
    whom = next(each.customer for each in rows if each.month == "2026-04")
    head = "customer,month,mrr,currency"
    older = [each for each in rows if each.month == "2026-04"]
    newer = [
        e._replace(minor=0) if e in older and e.customer == whom else e for e in rows
    ]
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path, said in zip(paths, (older, newer), strict=True):
        text = lines(
            head, lambda f: f"{f.customer},{f.month},{f.major},{f.currency}", said
        )
        path.write_text(text, encoding="utf-8")
    [done] = reconcile_files(ledger, paths)
    [cell] = done.cells
    assert (cell.customer.id, cell.theirs_minor) == (whom, 0)
    assert [part.cause for part in cell.parts] == [GapCause.RESTATED_THERE]
