"""What keeps a run from counting."""


class RunFailed(Exception):
    """A program of the bench ended with an error or did nothing; the text is its own."""
