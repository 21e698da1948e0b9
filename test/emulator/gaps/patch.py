"""How the corrections take hold of the emulator's functions."""
import functools


def wrap(module, name: str):
    """Replace module.name by a function that gets the original as its first argument."""
    def decorate(replacement):
        original = getattr(module, name)

        @functools.wraps(original)
        def replaced(*args, **kwargs):
            return replacement(original, *args, **kwargs)

        setattr(module, name, replaced)
        return replaced
    return decorate


def one(value):
    """The first of a query parameter's values."""
    return value[0] if isinstance(value, list) and value else value
