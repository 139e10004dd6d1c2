"""E-mail over SMTP with TLS."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP
from typing import ClassVar, Self

from sparktrends.alerts.channels.base import TIMEOUT_S, Channel, Message, Tools, cut, settings
from sparktrends.errors import (
    AccessDenied,
    BadRecord,
    BadSetting,
    NotFound,
    SparkTrendsError,
    Unavailable,
    UnknownOutcome,
)

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Email(Channel):
    """One mail a message; its Message-ID is made of the alerts' ids, so that mail systems can drop a repeat.

    >>> block = {"host": "mail.example.com", "sender": "a@example.com", "to": "b@example.com, c@example.com"}
    >>> tools = Tools(post=None, clock=lambda: 0, write=print)
    >>> Email.create("mail", block, tools)
    Email('mail')
    """

    kind = "email"
    transport = "smtp"
    example: ClassVar[Mapping[str, str]] = {
        "host": "{host}",
        "port": "{port}",
        "tls": "none",
        "sender": "alerts@example.com",
        "to": "someone@example.com",
        "user": "alerts",
        "password": "{secret}",
    }

    def __init__(self, name: str, block: Mapping[str, str]) -> None:
        super().__init__(name)
        self._host = block["host"]
        self._tls = block.get("tls", "starttls")
        self._port = int(block.get("port", "465" if self._tls == "tls" else "587"))
        self._sender = block["sender"]
        self._to = [address.strip() for address in block["to"].split(",")]
        self._user = block.get("user", "")
        self._password = block.get("password", "")

    @classmethod
    def create(cls, name: str, block: Mapping[str, str], tools: Tools) -> Self:  # noqa: ARG003
        """Settings: host, sender, to; port, ``tls`` (starttls, tls, or none to this machine), user, password."""
        settings(name, block, ("host", "sender", "to"), ("port", "tls", "user", "password"))
        tls = block.get("tls", "starttls")
        if tls not in ("starttls", "tls") and not (tls == "none" and block["host"] in _LOOPBACK):
            raise BadSetting(f"channel {name}: tls must be starttls or tls", hint="none only to this machine")
        if not block.get("port", "1").isdigit():
            raise BadSetting(f"channel {name}: port is not a number")
        return cls(name, block)

    def send(self, message: Message) -> None:
        """Hand it to the mail server."""
        mail = self._mail(message).as_bytes(policy=SMTP)
        smtp = self._connect()
        try:
            # Step by step, not by `send_message`: an error has to tell whether the mail itself was on its way.
            self._envelope(smtp)
            self._data(smtp, mail)
        finally:
            # The mail has its answer by now, or the error above says what it lacks: the farewell changes nothing.
            with contextlib.suppress(smtplib.SMTPException, OSError):
                smtp.quit()
            smtp.close()

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["From"] = self._sender
        mail["To"] = ", ".join(self._to)
        mail["Subject"] = cut(f"[SparkTrends] {message.subject}", 200)
        mail["Message-ID"] = f"<{message.id}@sparktrends>"
        mail.set_content(message.text())
        return mail

    def _connect(self) -> smtplib.SMTP:
        try:
            if self._tls == "tls":
                return smtplib.SMTP_SSL(self._host, self._port, timeout=TIMEOUT_S, context=ssl.create_default_context())
            smtp = smtplib.SMTP(self._host, self._port, timeout=TIMEOUT_S)
            if self._tls == "starttls":
                smtp.starttls(context=ssl.create_default_context())
        except (smtplib.SMTPException, OSError) as error:
            raise self._meaning(error) from error
        return smtp

    def _envelope(self, smtp: smtplib.SMTP) -> None:
        try:
            smtp.ehlo_or_helo_if_needed()
            if self._user:
                smtp.login(self._user, self._password)
            self._expect(smtp.mail(self._sender))
            for address in self._to:
                self._expect(smtp.rcpt(address))
        except (smtplib.SMTPException, OSError) as error:
            raise self._meaning(error) from error

    def _data(self, smtp: smtplib.SMTP, mail: bytes) -> None:
        """From here on silence is an unknown outcome: the server may hold the mail."""
        try:
            self._expect(smtp.data(mail), refusal=BadRecord("refused", f"channel {self.name}: the mail is refused"))
        except smtplib.SMTPResponseException as error:
            raise self._meaning(error) from error
        except (smtplib.SMTPException, OSError) as error:
            raise UnknownOutcome(f"channel {self.name}: no answer after the mail was sent") from error

    def _expect(self, reply: tuple[int, bytes], refusal: SparkTrendsError | None = None) -> None:
        code = reply[0]
        if code >= 500:
            raise refusal or NotFound(f"channel {self.name}: answer {code}", hint="check sender and recipients")
        if code >= 400 or code < 0:
            raise Unavailable(f"channel {self.name}: answer {code}")

    def _meaning(self, error: Exception) -> SparkTrendsError:
        if isinstance(error, smtplib.SMTPAuthenticationError) and error.smtp_code >= 500:
            return AccessDenied(f"channel {self.name}: the mail server refuses user or password")
        if isinstance(error, smtplib.SMTPNotSupportedError | ssl.SSLCertVerificationError):
            return BadSetting(f"channel {self.name}: no trusted TLS or no login with this mail server")
        if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= 500:
            return AccessDenied(f"channel {self.name}: answer {error.smtp_code}")
        return Unavailable(f"channel {self.name}: the mail server does not answer ({type(error).__name__})")
