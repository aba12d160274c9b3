"""A manifest that came with a project and is another file of the person's, by a link or by mistake: it is not read, and
its values are not said."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_helpers import make_host

from skill_magic.cli import main
from skill_magic.errors import SkillError
from skill_magic.host import Host
from skill_magic.manifest import reading
from skill_magic.manifest.file import read
from skill_magic.manifest.layers import load
from skill_magic.policy.decide import check_all

CANARY = "CANARY-sk-12345"
GOOD = '[skills.x.docker]\nimage = "debian:12"\n'
SECRETS = f'OPENAI_API_KEY = "{CANARY}"\n[db]\npassword = "{CANARY}"\n'


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return make_host(tmp_path, directory=tmp_path / "home/project", uid=os.getuid(), gid=os.getgid())


@pytest.fixture
def secrets(host: Host) -> Path:
    file = host.directory.parent / ".streamlit/secrets.toml"
    file.parent.mkdir()
    file.write_text(SECRETS)
    return file


def reason(text: str) -> str:
    """What is said of a text that is no TOML; empty for one that is."""
    try:
        reading.document(text, {})
    except reading.BrokenError as error:
        return error.reason + error.fix
    return ""


class TestLinks:
    @pytest.mark.parametrize("name", ["skills.toml", ".skill-engine.toml", "skill-engine.toml"])
    def test_a_link_out_of_the_directory_is_refused(self, host: Host, secrets: Path, name: str) -> None:
        (host.directory / name).symlink_to(os.path.relpath(secrets, host.directory))
        found = load(host)
        assert [each.code for each in found.broken] == ["manifest-link"]
        assert "--manifest" in found.broken[0].fix
        with pytest.raises(SkillError, match="cannot be used"):
            found.find("ffmpeg")

    def test_so_is_one_over_other_links(self, host: Host, secrets: Path) -> None:
        (host.directory / "inside").mkdir()
        (host.directory / "inside/a.toml").symlink_to(host.directory / "out/secrets.toml")
        (host.directory / "out").symlink_to(secrets.parent)
        (host.directory / "skills.toml").symlink_to("inside/a.toml")
        assert [each.code for each in load(host).broken] == ["manifest-link"]

    def test_so_is_one_above_the_notebook(self, host: Host, secrets: Path, tmp_path: Path) -> None:
        below = host.directory / "notes"
        below.mkdir()
        (host.directory / "skills.toml").symlink_to(secrets)
        here = make_host(tmp_path, directory=below, uid=os.getuid(), gid=os.getgid())
        assert [each.code for each in load(here).broken] == ["manifest-link"]

    def test_so_is_one_in_a_directory_that_was_named(self, host: Host, secrets: Path) -> None:
        other = host.directory / "other"
        other.mkdir()
        (other / "skills.toml").symlink_to(secrets)
        assert [each.code for each in load(host, explicit=other).broken] == ["manifest-link"]
        [decision] = [each for each in check_all(host, path=other) if not each.name]
        assert [each.code for each in decision.violations] == ["manifest-link"]

    def test_a_neighbour_by_the_beginning_of_its_name_is_outside(self, host: Host) -> None:
        other = host.directory.with_name(host.directory.name + "-secrets")
        other.mkdir()
        (other / "s.toml").write_text(GOOD)
        (host.directory / "skills.toml").symlink_to(other / "s.toml")
        assert [each.code for each in load(host).broken] == ["manifest-link"]

    def test_a_link_within_the_directory_counts(self, host: Host) -> None:
        (host.directory / "conf").mkdir()
        (host.directory / "conf/real.toml").write_text(GOOD)
        (host.directory / "skills.toml").symlink_to("conf/real.toml")
        assert load(host).find("x").base_dir == host.directory

    def test_the_directory_itself_may_be_reached_by_a_link(self, host: Host, tmp_path: Path) -> None:
        (host.directory / "skills.toml").write_text(GOOD)
        way = tmp_path / "way"
        way.symlink_to(host.directory)
        here = make_host(tmp_path, directory=way, uid=os.getuid(), gid=os.getgid())
        assert load(here).find("x").file == way / "skills.toml"

    def test_the_persons_own_manifest_may_be_a_link(self, host: Host, tmp_path: Path) -> None:
        dotfiles = tmp_path / "dotfiles.toml"
        dotfiles.write_text(GOOD)
        dotfiles.chmod(0o600)
        host.config_dir.mkdir(parents=True, exist_ok=True)
        (host.config_dir / "skills.toml").symlink_to(dotfiles)
        assert load(host).find("x").origin == "user"

    def test_a_manifest_that_was_named_may_be_a_link(self, host: Host, tmp_path: Path) -> None:
        (tmp_path / "mine.toml").write_text(GOOD)
        (host.directory / "link.toml").symlink_to(tmp_path / "mine.toml")
        assert load(host, explicit=Path("link.toml")).find("x").origin == "project"

    def test_a_link_that_is_put_there_in_between_is_not_followed(
        self, host: Host, secrets: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = host.directory / "skills.toml"
        file.symlink_to(secrets)
        monkeypatch.setattr(reading, "_own_file", lambda file: file)  # looked at before it became a link
        assert [each.code for each in load(host).broken] == ["manifest-unreadable"]


class TestValues:
    @pytest.mark.parametrize(
        "text",
        [
            SECRETS,
            f'[skills]\ntoken = "{CANARY}"\n',
            f'skills = "{CANARY}"\n',
            f'defaults = "{CANARY}"\n',
            f'policy = "{CANARY}"\n[trust]\nkey = "{CANARY}"\n',
            f'[skills.x]\ntoken = "{CANARY}"\n[skills.x.docker]\nimage = "debian:12"\n',
            f'[skills.x]\ndocker = "{CANARY}"\n',
            f'[skills.x]\nservices = "{CANARY}"\nref = ["{CANARY}"]\ndocker.image = "debian:12"\n',
            f'[skills.x.docker]\nimage = "debian:12"\ntoken = "{CANARY}"\nenv.KEY = "{CANARY}"\n',
            f'[skills.x.notebook]\ntoken = "{CANARY}"\n[skills.x.docker]\nimage = "debian:12"\n',
            f'[skills.x.docker]\nimage = "debian:12"\nenvironment = ["2KEY={CANARY}"]\n',
            f'a = ["{CANARY}", {{b = "{CANARY}"}}]\nb = {{c = "{CANARY}"}}\nc = """{CANARY}"""\n',
            # no TOML, near to it
            f'KEY = "{CANARY}\nB = 1\n',
            f"KEY = {CANARY}\n",
            f"{CANARY}\n",
            f"KEY: {CANARY}\n",
            f"export KEY={CANARY}\n",
            f"[default]\naws_secret_access_key = {CANARY}\n",
            f'KEY = "a" {CANARY}\n',
            f'KEY = "\\q{CANARY}"\n',
            f"KEY = 2001-99-99{CANARY}\n",
            f'KEY = ["{CANARY}"\n',
            f'KEY = {{a = "{CANARY}"\n',
            f"KEY = '{CANARY}\\x01\n",
            f'KEY = "x"\nKEY = "{CANARY}"\n',
            f'a.b = "x"\n[a]\nb = "{CANARY}"\n',
            f"-----BEGIN KEY-----\n{CANARY}\n",
        ],
    )
    def test_no_value_of_an_unknown_key_is_said(
        self, host: Host, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str
    ) -> None:
        """In the project's own directory, and of a file that was named, by whichever verb."""
        monkeypatch.chdir(host.directory)
        monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
        (host.directory / "skills.toml").write_text(text)
        (host.directory / "named.toml").symlink_to("skills.toml")
        for verb in (["check"], ["list"], ["info", "x"], ["explain", "x"], ["doctor"], ["x"], ["trust", "x"]):
            # In one go: what a verb says, how it fails, and both for a machine.
            for more in ([], ["--json"], ["-m", "named.toml"]):
                if more and (verb == ["x"] or (verb in (["check"], ["doctor"]) and more[0] == "-m")):
                    continue
                main([*verb[:1], *more, *verb[1:]])
        main(["check", "named.toml"])
        said = capsys.readouterr()
        assert CANARY not in said.out + said.err
        assert "CANARY" not in said.out + said.err

    def test_the_type_is_said_instead(self, host: Host) -> None:
        file = host.directory / "skills.toml"
        file.write_text(SECRETS + "pin = 1234\nlist = [1]\n")
        [first, table] = read(file, "project").broken
        assert (first.code, first.said, first.line) == (
            "manifest-unknown-key",
            "OPENAI_API_KEY = a string",
            1,
        )
        assert table.said == "db = a table"
        assert json.loads(json.dumps(first.as_dict()))["value"] == "a string"

    def test_values_of_known_keys_are_said(self, host: Host) -> None:
        file = host.directory / "skills.toml"
        file.write_text('[skills.x.docker]\nimage = "Debian"\nmemory = 512\n')
        assert {each.said for each in read(file, "project").faults["x"]} == {
            "image = 'Debian'",
            "memory = 512",
        }

    @given(st.text("abc\"'=[]{}.,#\\\n x0-:", max_size=30), st.text("\"'=[]{}.,#\\\n x0-:", max_size=10))
    def test_no_error_of_the_toml_reader_quotes_the_text(self, before: str, after: str) -> None:
        secret = "ZQSECRETVALUEZQ"
        text = f"{before}\nkey = {secret}{after}\n"
        assert secret not in reason(text)
