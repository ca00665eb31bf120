"""stripe-nrr: net revenue retention from Stripe, one formula, explained to the line."""

__version__ = "0.1.0"
