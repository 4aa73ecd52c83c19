"""The public API, as a storefront calls it."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

import httpx

Found = TypeVar("Found")

_PATIENCE_S: Final = 30
_LOOK_AGAIN_S: Final = 0.1


class Refused(Exception):
    """The API said no; the message is its own words."""


class Api:
    """Calls with a key; each write carries a fresh Idempotency-Key."""

    def __init__(self, *, address: str, key: str) -> None:
        self._http = httpx.Client(
            base_url=address,
            headers={"Authorization": f"Bearer {key}", "Accept-Language": "zh-CN"},
            timeout=30,
            trust_env=False,
        )

    def get(self, path: str, **params: str) -> Any:
        """Read. Raises Refused."""
        return self._answer(self._http.get(path, params=params))

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        """Write once. Raises Refused."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        return self._answer(self._http.post(path, json=body, headers=headers))

    def upload(self, path: str, lines: Iterator[bytes]) -> Iterator[Any]:
        """Send lines as NDJSON and yield the progress that comes back meanwhile."""
        headers = {
            "Idempotency-Key": uuid.uuid4().hex,
            "Content-Type": "application/x-ndjson",
        }
        with self._http.stream("POST", path, content=lines, headers=headers, timeout=600) as answer:
            if not answer.is_success:
                answer.read()
                self._answer(answer)
            for line in answer.iter_lines():
                if line:
                    yield json.loads(line)

    def wait_for(self, look: Callable[[], Found | None], *, what: str) -> Found:
        """Look until something is there. Raises Refused when it does not come."""
        deadline = time.monotonic() + _PATIENCE_S
        while (found := look()) is None:
            if time.monotonic() > deadline:
                raise Refused(f"等待超时 / waited in vain: {what}")
            time.sleep(_LOOK_AGAIN_S)
        return found

    def _answer(self, answer: httpx.Response) -> Any:
        if answer.is_success:
            return answer.json() if answer.content else None
        problem = answer.json()
        raise Refused(f"{answer.request.url.path}: {problem['title']} {problem['detail']}")
