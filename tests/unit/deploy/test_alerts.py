"""The alerts: each asks for figures that are there, and says what is wrong in both languages."""

import re
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client import generate_latest

from services.loyalty.jobs import ledger_jobs

ALERTS = Path(__file__).parents[3] / "deploy" / "alerts.yml"
GROUPS = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
RULES = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_an_alert_asks_for_figures_that_are_there(rule: dict[str, Any]) -> None:
    asked = set(re.findall(r"\bhuitou_\w+", rule["expr"]))
    assert asked <= figures()
    assert asked or rule["expr"].startswith("up{"), "an alert asks for something"


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_an_alert_speaks_both_languages(rule: dict[str, Any]) -> None:
    chinese, slash, english = rule["annotations"]["summary"].partition(" / ")
    assert slash
    assert re.search(r"[\u4e00-\u9fff]", chinese)
    assert not re.search(r"[\u4e00-\u9fff]", english)
    assert re.search(r"[\u4e00-\u9fff]", rule["annotations"]["description"])


def test_whatever_has_an_age_is_watched_for_lying_ahead() -> None:
    exprs = " ".join(rule["expr"] for rule in RULES.values())
    aged = set(re.findall(r"time\(\) - max\((huitou_\w+)\)", exprs))
    ahead = set(re.findall(r"max\((huitou_\w+)\) > time\(\) \+ 300", exprs))
    assert aged, "there are ages"
    assert aged <= ahead, "an age below 0 is never too old"


def test_an_alert_that_names_a_job_names_one_that_is_there() -> None:
    day = timedelta(days=1)
    jobs = {job.name for job in ledger_jobs(checkpoint_every=day, reconcile_every=day)}
    named = re.findall(r'exported_job="(\w+)"', RULES["LedgerCheckpointFails"]["expr"])
    assert named
    assert set(named) <= jobs


def test_a_figure_that_is_not_there_is_noticed() -> None:
    assert "huitou_events_parked_total" in figures()
    assert "huitou_events_parked" not in figures()


def figures() -> set[str]:
    """The names of all figures that the services tell, by the modules that define them."""
    for module in ("shared.telemetry", "services.loyalty.operations.reconciliations"):
        import_module(module)
    return set(re.findall(r"^# TYPE (huitou_\w+)", generate_latest().decode(), re.MULTILINE))
