"""What counts as a secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from policy_helpers import make_host, make_spec

from skill_magic.policy import redact
from skill_magic.spec import EnvVar, Mount


@pytest.mark.parametrize(
    "name",
    [
        "MY_API_KEY", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "GITHUB_TOKEN", "gh_token", "DB_PASS",
        "SENTRY_DSN",
        "SESSION_ID", "AUTH", "BASIC_AUTH", "COOKIE", "SSH_PASSPHRASE", "OPENAIKEY", "MYSQL_PWD",
        "CREDENTIALS",
        "GOOGLE_CREDS", "KEY", "KEY2", "PRIVATE_KEY_1",
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert redact.secret_name(name)


@pytest.mark.parametrize(
    "name", ["HOME", "PWD", "USER", "LC_ALL", "AUTHOR", "KEYBOARD", "DATA_DIR", "COMPASS_X"]
)
def test_names_of_no_secrets(name: str) -> None:
    assert not redact.secret_name(name)


@pytest.mark.parametrize("name", ["HOME", "USER", "LANG", "LC_TIME", "TZ", "PWD", "UID", "GID", "TMPDIR"])
def test_standard_names(name: str) -> None:
    assert redact.standard_name(name)


@pytest.mark.parametrize(
    ("variable", "shown"),
    [
        (EnvVar("A", "plain"), "plain"),
        (EnvVar("A", "/home/u", ("HOME",)), "/home/u"),
        (EnvVar("A", "x", ("MY_API_KEY",)), "***"),
        (EnvVar("A", "x", ("UNUSUAL",)), "***"),
        (EnvVar("API_KEY", "x"), "***"),
        (EnvVar("API_KEY", ""), ""),
        (EnvVar("URL", "postgres://u:pw@db/x"), "postgres://***@db/x"),
        (EnvVar("HOME", "/tmp", ours=True), "/tmp"),
    ],
)
def test_values_as_they_are_shown(variable: EnvVar, shown: str) -> None:
    assert redact.env_value(variable) == shown


def test_the_secrets_of_a_spec(tmp_path: Path) -> None:
    host = make_host(tmp_path, environment={"MY_TOKEN": "hunter2", "OTHER_TOKEN": "unused"})
    spec = make_spec(
        host,
        environment=(EnvVar("A", "x-hunter2", ("MY_TOKEN",)), EnvVar("API_KEY", "literal")),
        mounts=(Mount("volume", "/x", "hunter2", names=("MY_TOKEN",)),),
    )
    found = redact.spec_secrets(spec, host)
    assert set(found) == {"hunter2", "literal"}
    assert redact.hide("a hunter2 b literal c http://u:p@h/", found) == "a *** b *** c http://***@h/"


def test_a_value_never_shows_in_a_repr() -> None:
    assert "hunter2" not in repr(EnvVar("A", "hunter2"))


def test_longer_secrets_first() -> None:
    assert redact.secrets(["A_KEY", "B_KEY"], {"A_KEY": "abcd", "B_KEY": "abcdef"}) == ("abcdef", "abcd")


PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN/BgkqhkiG9w0\nshort\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize("value", [PEM, PEM.replace("\n", "\r\n"), PEM.strip()])
@pytest.mark.parametrize(
    "said",
    [
        "invalid variable: {value}",
        "invalid variable: {escaped}",
        "cannot parse MIIEvQIBADAN/BgkqhkiG9w0: bad",
        "at the end of MIIEvQIBADAN/BgkqhkiG9w0\n",
    ],
)
def test_no_line_of_a_key_is_in_the_engines_words(tmp_path: Path, value: str, said: str) -> None:
    host = make_host(tmp_path, environment={"TLS": value})
    spec = make_spec(host, environment=(EnvVar("CERTIFICATE", value, ("TLS",)),))
    text = said.format(value=value, escaped=json.dumps(value)[1:-1])
    shown = redact.hide_values(text, redact.concealed(spec, host))
    assert "MIIE" not in shown
    assert shown.split()[0] == said.split()[0]


def test_a_short_line_of_a_value_hides_no_word_of_the_engine(tmp_path: Path) -> None:
    host = make_host(tmp_path, environment={"TLS": PEM})
    spec = make_spec(host, environment=(EnvVar("CERTIFICATE", PEM, ("TLS",)),))
    assert redact.hide_values("a short answer", redact.concealed(spec, host)) == "a short answer"
