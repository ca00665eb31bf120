"""What is asked of an engine: whose each object is, and the windows' figures.

Comes in: the folders of a source, a dialect. Goes out: SQL. Read ``queries`` first.
"""
