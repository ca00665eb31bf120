"""What a sync costs on this machine: ``python -m tests.benchmarks.sync``.

account   an invented account of any size, in Stripe's shape
server    serves it on loopback, faster than any client asks
ours      our walk into the ledger file, in a process of its own
sdk       the stripe package's auto-paging into sqlite-utils, likewise
floor     the least that copying the same pages can cost, likewise
measure   what a process costs
sync      runs them all and prints the tables
"""
