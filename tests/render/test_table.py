"""Tables of texts: aligned for a reader, Markdown, CSV."""

from connector.render.csv_table import csv_text
from connector.render.table import Table, markdown_table, text_table

BOOKS = Table(
    ("Customer", "MRR"), [("Ada", "$50.00"), ("明和電気", "$1,250.00")], frozenset([1])
)


def test_figures_are_aligned_right_and_wide_characters_counted_twice() -> None:
    assert text_table(BOOKS, "en_US") == (
        "  Customer        MRR\n"
        "  ───────────────────\n"
        "  Ada          $50.00\n"
        "  明和電気  $1,250.00\n"
    )


def test_markdown_keeps_a_bar_inside_its_cell() -> None:
    table = Table(("Customer", "MRR"), [("Ada | Co.", "$50.00")], frozenset([1]))
    assert markdown_table(table, "en_US") == (
        "| Customer | MRR |\n| --- | ---: |\n| Ada \\| Co. | $50.00 |\n"
    )


def test_csv_quotes_what_must_be_quoted() -> None:
    text = csv_text(("customer", "mrr"), [("Ada, Co.", 50), (None, 0)])
    assert text == 'customer,mrr\n"Ada, Co.",50\n,0\n'


def test_a_table_without_rows_has_its_heads() -> None:
    assert text_table(Table(("Customer",), []), "en_US") == "  Customer\n  ────────\n"
