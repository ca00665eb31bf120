"""What the program costs, measured beside what it could cost at the least."""
