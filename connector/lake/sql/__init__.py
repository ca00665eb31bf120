"""What is asked of an engine: whose each object is, and the windows' figures."""
