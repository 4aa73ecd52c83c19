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
    with system(RunSettings()) as ready:
        api = Api(address=ready.address, key=ready.key)
        try:
            import_history(api)
            show_segments(api)
            play(api)
        except Refused as refusal:
            sys.exit(str(refusal))
        chapter("完成", f"done in {time.monotonic() - began:.0f} s")
        if ready.stays:
            say(f"  控制台 console: {ready.address}/console")
        else:
            say("  用 make run 启动系统后自己试试 / try it yourself: make run")


if __name__ == "__main__":
    main()
