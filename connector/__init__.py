"""stripe-nrr: net revenue retention from Stripe, one formula, explained to the line."""
