"""`python -m deploy.demo`."""

import sys
import time

from deploy.demo.api import Api, Refused
from deploy.demo.circle import play
from deploy.demo.history import import_history, show_segments
from deploy.demo.screen import chapter, say
from deploy.demo.system import system
from deploy.local.settings import RunSettings


def main() -> None:
    """Import, segment, play the circle."""
    began = time.monotonic()
    with system(RunSettings()) as (address, key):
        api = Api(address=address, key=key)
        try:
            import_history(api)
            show_segments(api)
            play(api)
        except Refused as refusal:
            sys.exit(str(refusal))
        chapter("完成", f"done in {time.monotonic() - began:.0f} s")
        say(f"  控制台 console: {address}/console")


if __name__ == "__main__":
    main()
