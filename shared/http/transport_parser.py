"""Reads answers off one connection, with httptools, into replies."""

import httptools
import httpx

from shared.http.transport_reply import OversizedAnswer, Reply


class AnswerParser:
    """Fills one reply after another. `answered` turns true with the last byte of an answer, and
    `keep_alive` then says whether the connection is fit for another request."""

    def __init__(self, *, head_limit_bytes: int) -> None:
        self._limit_bytes = head_limit_bytes
        self._parser = httptools.HttpResponseParser(self)
        self._reply: Reply
        self._bodiless = False
        # Bytes read without progress in the body: heads, trailers, chunk extensions. httptools
        # joins the parts of one endless header itself, so this is all there is to stop it by.
        self._fruitless_bytes = 0
        self._arrived_bytes = 0
        self.answered = False
        self.keep_alive = False

    def expect(self, *, reply: Reply, bodiless: bool) -> None:
        """The next bytes answer this request; `bodiless` for a request by HEAD."""
        self._reply = reply
        self._bodiless = bodiless
        self._fruitless_bytes = 0
        self.answered = False

    def feed(self, data: bytes) -> None:
        """Take what has arrived. Raises httpx.RemoteProtocolError unless the answer is whole."""
        reply = self._reply
        body_bytes = reply.body_bytes
        self._arrived_bytes = len(data)
        try:
            if self._bodiless:
                self._feed_heads(data)
            else:
                self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._stumble(error)
        if not self.answered and reply.body_bytes == body_bytes:
            self._fruitless_bytes += len(data)
            if self._fruitless_bytes > self._limit_bytes:
                raise OversizedAnswer("The head or the trailer of the answer is too large")

    def _feed_heads(self, data: bytes) -> None:
        # The answer to HEAD may announce a body that never comes, and httptools cannot be told
        # so. It gets one line at a time, and is replaced after the last one.
        for line in data.splitlines(keepends=True):
            if self.answered:
                self.keep_alive = False
                break
            self._parser.feed_data(line)
        if self.answered:
            self._parser = httptools.HttpResponseParser(self)

    def _stumble(self, error: Exception) -> None:
        if self.answered:
            self.keep_alive = False  # the answer was whole; what follows it is garbage
        elif isinstance(error.__context__, httpx.RemoteProtocolError):
            raise error.__context__
        else:
            raise httpx.RemoteProtocolError(f"Not an answer of HTTP/1.1: {error}") from error

    # Called by httptools.

    def on_message_begin(self) -> None:
        if self.answered:
            raise httpx.RemoteProtocolError("More than one answer to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._reply.head_done:  # what comes later is a trailer, and dropped
            self._reply.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        reply = self._reply
        if self._fruitless_bytes + self._arrived_bytes > self._limit_bytes:
            self._measure(reply.headers)
        status = self._parser.get_status_code()
        if status < 200:
            reply.headers.clear()  # an interim answer; the one that counts follows
            if status < 100:
                raise httpx.RemoteProtocolError("There is no such status")
            return
        reply.status = status
        reply.head_done = True
        if self._bodiless:
            self.keep_alive = self._stays_open(reply.headers)
            self.answered = True

    def on_body(self, body: bytes) -> None:
        reply = self._reply
        reply.chunks.append(body)
        reply.body_bytes += len(body)
        reply.unread_bytes += len(body)

    def on_message_complete(self) -> None:
        if self._reply.head_done and not self.answered:
            self.keep_alive = self._parser.should_keep_alive()
            self.answered = True

    def _measure(self, headers: list[tuple[bytes, bytes]]) -> None:
        if sum(len(name) + len(value) + 4 for name, value in headers) > self._limit_bytes:
            raise OversizedAnswer("The head of the answer is too large")

    def _stays_open(self, headers: list[tuple[bytes, bytes]]) -> bool:
        # httptools takes a missing length for a body up to the end of the connection.
        tokens = [value.lower() for name, value in headers if name == b"connection"]
        return self._parser.get_http_version() == "1.1" and not any(b"close" in t for t in tokens)
