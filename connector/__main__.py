"""``python -m connector`` is ``stripe-nrr``."""

from connector.cli.app import main

if __name__ == "__main__":  # a process that derives imports this file too
    main()
