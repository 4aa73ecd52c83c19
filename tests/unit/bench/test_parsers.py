"""Reading /proc, pgbench, wrk and HTTP answers."""

import os

import pytest

from bench.failures import RunFailed
from bench.load import LoadFailed, answer_length
from bench.pgbench import parse_log, parse_report
from bench.processes import cpu_seconds, others_share, parse_stat
from bench.wrk import parse_wrk

REPORT = """pgbench (18.0)
number of transactions actually processed: 14571
number of failed transactions: 0 (0.000%)
latency average = 3.293 ms
initial connection time = 24.011 ms
tps = 4858.614 (without initial connection time)
"""
WRK = """Running 2s test @ http://127.0.0.1:8001
  1 threads and 64 connections
  Latency Distribution
     50%   11.20ms
     75%   12.00ms
     90%   13.93ms
     99%    1.02s
  9876 requests in 2.00s, 4.21MB read
Requests/sec:   4938.00
Transfer/sec:      2.10MB
"""


def test_a_process_is_read_even_when_its_name_has_brackets_and_spaces() -> None:
    stat = parse_stat("42 (a (b) c) S 7 42 42 0 -1 4194560 1 2 3 4 100 50 30 20 20 0 1 0 99")
    assert (stat.pid, stat.parent, stat.own, stat.reaped) == (42, 7, 150, 50)


def test_a_process_that_is_gone_has_used_nothing() -> None:
    spent = cpu_seconds({"gone": 2**22 + 1, "ourselves": os.getpid()})
    assert spent["gone"] == 0
    assert spent["ourselves"] > 0


def test_what_others_used_is_what_was_busy_less_ours() -> None:
    ours = {"service": 1.0, "postgres": 0.5}
    assert others_share((10.0, 100.0), (13.0, 104.0), ours=ours) == pytest.approx(1.5 / 4)
    assert others_share((10.0, 100.0), (11.0, 104.0), ours=ours) == 0


def test_a_pgbench_report_gives_rate_and_number() -> None:
    assert parse_report(REPORT) == (4858.614, 14571)


@pytest.mark.parametrize(
    "report",
    [
        REPORT.replace("failed transactions: 0", "failed transactions: 3"),
        "number of transactions actually processed: 0\n",
        "",
    ],
)
def test_a_pgbench_report_with_failures_or_without_a_rate_does_not_count(report: str) -> None:
    with pytest.raises(RunFailed):
        parse_report(report)


def test_a_pgbench_log_gives_milliseconds() -> None:
    assert parse_log("0 1 2500 0 1700000000 1\n3 9 812 0 1700000000 2\n") == [2.5, 0.812]


def test_a_wrk_report_gives_rate_and_latencies_in_milliseconds() -> None:
    report = parse_wrk(WRK)
    assert (report.rate, report.requests, report.p50_ms, report.p99_ms) == (4938, 9876, 11.2, 1020)


def test_a_wrk_report_with_refusals_does_not_count() -> None:
    with pytest.raises(RunFailed):
        parse_wrk(WRK + "  Non-2xx or 3xx responses: 5\n")


def test_the_length_of_an_answer_is_its_head_and_its_body() -> None:
    head = b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\nContent-Length: 5\r\n\r\n"
    assert answer_length(head[:30]) == 0
    assert answer_length(head) == len(head) + 5
    assert answer_length(b"HTTP/1.1 204 No\r\ncontent-length: 0\r\nx: y\r\n\r\n") == 44


def test_an_answer_without_a_length_fails_the_run() -> None:
    with pytest.raises(LoadFailed):
        answer_length(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
