"""What an audit found, in words: Chinese, then English, since the reader is not known."""

import sys

from services.loyalty.domain.audit import Audit
from services.loyalty.domain.audit_rows import Finding
from shared.kernel.texts import Language, text

_LANGUAGES: tuple[Language, ...] = ("zh-CN", "en")


def say(code: str, **facts: str | int) -> None:
    """Tell how it goes, or why it cannot be done, on standard error."""
    words = " / ".join(text(f"verify.{code}", language=one, facts=facts) for one in _LANGUAGES)
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


def report(audit: Audit) -> None:
    """Write the outcome to standard output."""
    number, digest = audit.last_checkpoint or (0, "-")
    facts: dict[str, str | int] = {
        "members": f"{audit.members:,}",
        "entries": f"{audit.entries:,}",
        "checkpoints": f"{audit.checkpoints:,}",
        "checkpoint": number,
        "hash": digest,
        "faults": audit.faults,
        "shown": len(audit.findings),
    }
    for language in _LANGUAGES:
        for finding in audit.findings:
            sys.stdout.write("  " + _words(finding, language) + "\n")
        outcome = "disagrees" if audit.faults else "agrees"
        sys.stdout.write(text(f"verify.{outcome}", language=language, facts=facts) + "\n")
    sys.stdout.flush()


def _words(finding: Finding, language: Language) -> str:
    facts = dict(finding.facts)
    columns = facts.get("columns")
    if finding.code == "entry_altered":
        facts["columns"] = text(f"verify.columns.{columns}", language=language)
    return text(f"verify.{finding.code}", language=language, facts=facts)
