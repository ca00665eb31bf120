"""What a sync costs here, and a report: ``python -m tests.benchmarks.sync``, ``.report``.

account   an invented account of any size, in Stripe's shape
server    serves it on loopback, faster than any client asks
ours      our walk into the ledger file, in a process of its own
sdk       the stripe package's auto-paging into sqlite-utils, likewise
floor     the least that copying the same pages can cost, likewise
measure   what a process costs
sync      runs them all and prints the tables
ledgers   made-up ledgers of any size
report    runs each report on them and prints the tables

And whether a server stays as it is: ``python -m tests.benchmarks.endurance``.

And what deriving costs: ``python -m tests.benchmarks.derive``.

many_customers   a mirror of any number of customers, each with years of billing
derive           reads, derives and settles it, and prints the table
skew             derives one customer as large as can be
"""
