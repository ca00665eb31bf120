"""``python -m connector`` is ``stripe-nrr``."""

from connector.cli import main

main()
