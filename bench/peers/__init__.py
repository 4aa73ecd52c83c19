"""Other libraries of points or money, measured as their own documents say to use them.

Each runs in a process of its own, without HTTP, which is in its favour: `Peer` says what to run.
They are installed by `make bench` alone, so only these modules may import them.
"""
