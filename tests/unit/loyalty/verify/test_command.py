"""How the verify command ends when it meets what nobody foresaw."""

import sys

import pytest

from services.loyalty.verify import __main__ as command


def test_an_error_that_nobody_foresaw_ends_with_2_and_its_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(**_given: object) -> None:
        raise ZeroDivisionError("of whatever it speaks")

    monkeypatch.setattr(command, "verify", broken)
    monkeypatch.setattr(sys, "argv", ["verify", "--database", "postgresql://nowhere/none"])
    assert command.main() == command.UNKNOWN
    said = capsys.readouterr()
    assert said.out == ""
    assert "it could not be told" in said.err
    assert "ZeroDivisionError" in said.err
    assert "Traceback" not in said.err
