"""Alert rules: a TOML file of conditions over bars, metrics and signals; read, checked, evaluated; never `eval`."""

from __future__ import annotations

from sparktrends.rules.bundle import Ended, Match, Rules, check
from sparktrends.rules.document import Finding
from sparktrends.rules.file import RulesFile
from sparktrends.rules.names import Names
from sparktrends.rules.rule import Rule

__all__ = ["Ended", "Finding", "Match", "Names", "Rule", "Rules", "RulesFile", "check"]
