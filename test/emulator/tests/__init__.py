"""Tests of the bench. One server serves all of them, another one without corrections shows what they correct."""
