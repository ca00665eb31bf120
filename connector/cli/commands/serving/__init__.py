"""Commands that stay and answer Stripe, a browser or an assistant, and what is about them.

Read ``serve`` first.
"""
