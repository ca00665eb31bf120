"""Tests of what is told as new."""
