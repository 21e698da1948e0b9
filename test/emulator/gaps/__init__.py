"""Corrections of the emulator, one function for one thing that AWS does and the emulator does not."""


def apply() -> None:
    """Put every correction in place. Called once, before the first request."""
