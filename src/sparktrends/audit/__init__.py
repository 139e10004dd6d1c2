"""Proves that every record of the log ended in exactly one place and that every stored minute is right (law 1).

It is a second opinion: it reads the log with the plain Kafka client, parses with `json`, sums in Python integers and
compares with equality. It imports nothing of bars, streaming, indicators, analysis or the bus's codec.

``log`` reads the partitions (``records`` judges, ``numbers`` counts digits, ``series`` sums), ``compare`` walks the
stored rows in step with what ``series`` expects, ``run`` does both on one snapshot and makes the ``report``.
"""

from __future__ import annotations

from sparktrends.audit.records import Laws
from sparktrends.audit.report import CheckedSpan, Finding, Report
from sparktrends.audit.run import run
from sparktrends.bus.log import LogReader, LogRecord
from sparktrends.store.audit_queries import AuditDatabase

__all__ = ["AuditDatabase", "CheckedSpan", "Finding", "Laws", "LogReader", "LogRecord", "Report", "run"]
