"""Tells people what needs them: by mail, by a webhook, or both. What is told names studies and never patients."""

from __future__ import annotations

import json
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from urllib.error import URLError
from urllib.request import Request, urlopen

from dicomnode.config import MailSettings, NotifySettings
from dicomnode.errors import TransientFault

_TIMEOUT_S = 15.0


@dataclass(frozen=True)
class Notice:
    """One thing to tell; `studies` are the Study Instance UIDs that it is about."""

    occasion: str
    subject: str
    text: str
    studies: tuple[str, ...] = ()


Tell = Callable[[Notice], None]


def open_channels(settings: NotifySettings, ae_title: str) -> Tell | None:
    """Return what tells a notice to everybody who is configured; None where nobody is.

    It raises TransientFault if somebody could not be told: the same may succeed later.
    """
    channels: list[Tell] = []
    if settings.mail is not None:
        mail = settings.mail
        channels.append(lambda notice: _mail(mail, notice, ae_title))
    if settings.webhook is not None:
        url = settings.webhook
        channels.append(lambda notice: _post(url, notice, ae_title))
    if not channels:
        return None

    def tell(notice: Notice) -> None:
        try:
            for channel in channels:
                channel(notice)
        except (OSError, smtplib.SMTPException) as error:
            raise TransientFault(f"a notice could not be sent ({type(error).__name__})") from error

    return tell


def _mail(settings: MailSettings, notice: Notice, ae_title: str) -> None:
    message = EmailMessage()
    message["Subject"] = f"[{ae_title}] {notice.subject}"
    message["From"], message["To"] = settings.sender, ", ".join(settings.to)
    message.set_content(notice.text)
    with smtplib.SMTP(settings.host, settings.port, timeout=_TIMEOUT_S) as server:
        if settings.starttls:
            server.starttls(context=ssl.create_default_context())
        if settings.user is not None:
            server.login(settings.user, _password(settings))
        server.send_message(message)


def _password(settings: MailSettings) -> str:
    if settings.password_file is not None:
        return settings.password_file.read_text("utf-8").strip()
    return settings.password.get_secret_value() if settings.password is not None else ""


def _post(url: str, notice: Notice, ae_title: str) -> None:
    body = {
        "node": ae_title, "occasion": notice.occasion, "subject": notice.subject, "text": notice.text,
        "studies": notice.studies,
    }  # fmt: skip
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310 - http(s) by config
    try:
        with urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310 - the configuration lets http and https through only
            return
    except URLError as error:
        raise OSError(str(error.reason)) from error
