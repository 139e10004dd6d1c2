"""Everything that goes out over HTTP: the client, the address guard, retries, quotas, secrets and their redaction."""

from __future__ import annotations

from sparktrends.net.addresses import AddressGuard
from sparktrends.net.http import Http, Limits, Response
from sparktrends.net.quota import JsonFile, Planner
from sparktrends.net.redaction import Redactor, Secret
from sparktrends.net.retry import Backoff

__all__ = ["AddressGuard", "Backoff", "Http", "JsonFile", "Limits", "Planner", "Redactor", "Response", "Secret"]
