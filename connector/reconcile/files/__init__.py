"""Another tool's CSV file → its lines: customer, currency, day, amount.

``texts`` tells how it is written, ``headers`` which column is what, ``days`` how days are;
read ``tables`` first.
"""
