"""The grammar: what words on a line mean, in a notebook and in a shell, and what bad ones get."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skill_magic.command.grammar import USABLE, Door
from skill_magic.command.parse import (
    OPTIONS,
    VERBS,
    Command,
    Options,
    Request,
    check_arguments,
    help_text,
    option_names,
    parse,
)
from skill_magic.errors import CommandError


def run(skill: str, args: tuple[str, ...] | None, **options: Any) -> Command:
    chosen = Options(**options)
    return Command("run", (skill,), Request(skill, args, None, chosen), chosen)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["ffmpeg"], run("ffmpeg", None)),
        (["run", "ffmpeg"], run("ffmpeg", None)),
        (["ffmpeg", "--"], run("ffmpeg", ())),
        (["ffmpeg", "--", "-i", "a b", "out"], run("ffmpeg", ("-i", "a b", "out"))),
        (["run", "ffmpeg", "--", "-i", "a"], run("ffmpeg", ("-i", "a"))),
        (["ffmpeg", "-i", "a", "--timeout", "5"], run("ffmpeg", ("-i", "a", "--timeout", "5"))),
        (["run", "ffmpeg", "--help"], run("ffmpeg", ("--help",))),
        (["ffmpeg", "-h"], run("ffmpeg", ("-h",))),
        (["ffmpeg", "--", "--", "-x", "--"], run("ffmpeg", ("--", "-x", "--"))),
        (["ffmpeg", "--", "--network", "host"], run("ffmpeg", ("--network", "host"))),
        (["ffmpeg", "--", ""], run("ffmpeg", ("",))),
        # Nothing but options with values: no word is left for the tool.
        (["ffmpeg", "--timeout", "5"], run("ffmpeg", None, timeout=5.0)),
        (["run", "t", "--pull=never", "--memory", "1g"], run("t", None, pull="never", memory="1g")),
        (["t", "--out", "r"], run("t", None, out="r")),
        (["t", "--stdout", "o.txt"], run("t", None, stdout="o.txt")),
        (["--stdout=a b", "t", "--", "--stdout", "x"], run("t", ("--stdout", "x"), stdout="a b")),
        (["t", "--timeout", "soon"], run("t", ("--timeout", "soon"))),
        (["--timeout", "1", "t", "--timeout", "2"], run("t", ("--timeout", "2"), timeout=1.0)),
        (["t", "--timeout"], run("t", ("--timeout",))),
        (["redis", "--raw"], run("redis", ("--raw",))),
        (["t", "-o", "z"], run("t", ("-o", "z"))),
        (["t", "-m", "json.tool"], run("t", ("-m", "json.tool"))),
        (["t", "--timeout", "5", "x"], run("t", ("--timeout", "5", "x"))),
        (["--timeout", "60", "ffmpeg", "--", "x"], run("ffmpeg", ("x",), timeout=60.0)),
        (["ffmpeg", "--timeout", "1.5", "--", "x"], run("ffmpeg", ("x",), timeout=1.5)),
        (["--timeout=.5", "run", "-q", "ffmpeg", "x"], run("ffmpeg", ("x",), timeout=0.5, quiet=True)),
        (["run", "ffmpeg", "--no-raise", "--"], run("ffmpeg", (), no_raise=True)),
        (["--memory", "1g", "--cpus", "2", "t"], run("t", None, memory="1g", cpus="2")),
        (["--pull", "never", "t"], run("t", None, pull="never")),
        (["-o", "r", "t"], run("t", None, out="r")),
        (["--out=größe", "t"], run("t", None, out="größe")),
        (["--bg", "--keep", "t"], run("t", None, bg=True, keep=True)),
        (["--expand", "t"], run("t", None, expand=True)),
        (["-m", "other.toml", "t"], run("t", None, manifest=Path("other.toml"))),
        (["--manifest=a=b.toml", "t"], run("t", None, manifest=Path("a=b.toml"))),
        (["help"], Command("help")),
        ([], Command("help")),
        (["--help"], Command("help")),
        (["-h", "ffmpeg"], Command("help")),
        (["ffmpeg", "--help", "--", "x"], Command("help")),
        (["run", "-h"], Command("help", ("run",))),
        (["list", "--help"], Command("help", ("list",))),
        (["list"], Command("list")),
        (["list", "--json"], Command("list", options=Options(json=True))),
        (["--json", "check"], Command("check", options=Options(json=True))),
        (["check", "sub/dir", "--json"], Command("check", ("sub/dir",), options=Options(json=True))),
        (["info", "ffmpeg"], Command("info", ("ffmpeg",))),
        (["trust", "x", "-y"], Command("trust", ("x",), options=Options(yes=True))),
        (["pull", "a", "b"], Command("pull", ("a", "b"))),
        (["stop", "r1", "r2"], Command("stop", ("r1", "r2"))),
        (["doctor", "--json"], Command("doctor", options=Options(json=True))),
    ],
)
def test_grammar(words: list[str], command: Command) -> None:
    assert parse(words) == command


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (
            ["t", "--timeout", "1", "x"],
            "--timeout went to the tool; for %skill write it first: `%skill --timeout SECONDS t …`",
        ),
        (["t", "x", "--no-raise"], "%skill --no-raise t …"),
        (["t", "x", "--memory=1g"], "%skill --memory=1g t …"),
        (["t", "-o", "z"], "%skill -o NAME t …"),
        (["t", "x", "-o", "z"], ""),
        (["t", "-m", "json.tool"], ""),
        (["t", "--", "--timeout", "1", "x"], ""),
        (["t", "--verbose"], ""),
        (
            ["t", "--memoy", "1g"],
            "--memoy went to the tool; if --memory was meant, write `%skill --memory SIZE t …`",
        ),
        (["t", "--timout=5", "x"], "if --timeout was meant, write `%skill --timeout SECONDS t …`"),
        (["t", "-", "-i", "a"], "- went to the tool; if -- was meant, write `%skill t -- …`"),
        (["t", "—", "-i", "a"], "— went to the tool; if -- was meant, write `%skill t -- …`"),
        (["t", "x", "-"], ""),
        (["t", "--", "-"], ""),
        (["t", "x", "--memoy", "1g"], ""),
        (["t", "--output", "x"], ""),
        (["t", "--", "--memoy", "1g"], ""),
    ],
)
def test_an_option_that_went_to_the_tool_is_told_should_the_tool_fail(words: list[str], hint: str) -> None:
    request = parse(words).request
    assert request is not None
    assert hint in request.hint
    assert bool(hint) == bool(request.hint)


def test_what_is_for_notebooks_alone_is_the_tools_in_a_shell() -> None:
    request = parse(["t", "--out", "r"], door="shell").request
    assert request == Request("t", ("--out", "r"))
    assert request.hint == ""


def test_the_help_says_where_options_stand() -> None:
    for text in (help_text(), help_text("cell")):
        assert "%%skill [options] NAME [-- ARGS...]" in text
    assert "Without --, every word" in help_text()


def test_explain_takes_arguments_as_run_does() -> None:
    explained = parse(["explain", "ffmpeg", "--json", "--", "-i", "a"])
    assert (explained.verb, explained.options.json) == ("explain", True)
    assert explained.request == Request("ffmpeg", ("-i", "a"), None, Options(json=True))
    # Nobody means a tool's option here: there is no other word.
    assert parse(["explain", "ffmpeg", "--json"]).options.json
    assert parse(["explain", "ffmpeg", "-i", "--json"]).request == Request("ffmpeg", ("-i", "--json"))


SECONDS = "use a number of seconds, e.g. 60 or 1.5"
SIZE = "use a whole number with b, k, m or g, e.g. 512m"
CPUS = "use a number such as 0.5 or 2"
OURS = "a tool's own options go after --; options of `docker run` go into the manifest, as extra_args"


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["--", "x"], "no skill is named", "write `%skill [options] NAME -- ARGS...`"),
        (["--quiet"], "no skill is named", "write `%skill [options] NAME -- ARGS...`"),
        (
            ["run"],
            "run needs the name of a skill",
            "write `%skill run NAME [-- ARGS...]`; `%skill list` lists them",
        ),
        (["info"], "info needs the name of a skill", "write `%skill info NAME`; `%skill list` lists them"),
        (["pull"], "pull needs the name of a skill", "write `%skill pull NAME...`; `%skill list` lists them"),
        (["stop"], "stop needs the name of a run", "write `%skill stop RUN...`; `%skill ps` lists them"),
        (["logs"], "logs needs the name of a run", "write `%skill logs RUN`; `%skill ps` lists them"),
        # What is near is looked for among the options that would do here.
        (["--memoy", "1g", "t"], "unknown option --memoy. Did you mean --memory?", ""),
        (["t", "--tiemout", "3", "--", "x"], "unknown option --tiemout. Did you mean --timeout?", ""),
        (["list", "--jsno"], "unknown option --jsno. Did you mean --json?", ""),
        (["--jsno", "list"], "unknown option --jsno. Did you mean --json?", ""),
        (["trust", "--al"], "unknown option --al. Did you mean --all?", ""),
        (["list", "--memoy"], "unknown option --memoy", "`%skill list --help` lists its options"),
        (["--jsno", "t"], "unknown option --jsno", OURS),
        (["--no-stdn", "t"], "unknown option --no-stdn", OURS),  # one for a shell
        (["t", "--network", "host", "--", "x"], "unknown option --network", OURS),
        (["--privileged", "t"], "unknown option --privileged", OURS),
        (["-v", "/:/host", "t", "--"], "unknown option -v", OURS),
        (["--time", "3", "t"], "unknown option --time. Did you mean --timeout?", ""),
        (["-qq", "t"], "unknown option -qq", OURS),
        (
            ["t", "extra", "--", "x"],
            "'extra' stands between the skill's name and --",
            "the tool's words go after --: `%skill t -- extra …`",
        ),
        (
            ["explan", "t", "--", "x"],
            "'t' stands between the skill's name and --",
            "did you mean the verb explain? Otherwise the tool's words go after --: `%skill explan -- t …`",
        ),
        (
            ["--timeout"],
            "--timeout needs a value",
            "write --timeout SECONDS: end the run after that time",
        ),
        (["--timeout", "soon", "t"], "--timeout 'soon' is not a number of seconds", SECONDS),
        (["--timeout", "nan", "t"], "--timeout 'nan' is not a number of seconds", SECONDS),
        (["--timeout", "1e3", "t"], "--timeout '1e3' is not a number of seconds", SECONDS),
        (["--timeout", "٣", "t"], "--timeout '٣' is not a number of seconds", SECONDS),
        (["--timeout=", "t"], "--timeout '' is not a number of seconds", SECONDS),
        (["--timeout", "0", "t"], "--timeout '0' is out of range: it must be above 0", SECONDS),
        (["--timeout", "-1", "t"], "--timeout '-1' is out of range: it must be above 0", SECONDS),
        (
            ["--timeout", "9" * 400, "t"],
            f"--timeout '{'9' * 400}' is out of range: nobody waits that long",
            SECONDS,
        ),
        (["--timeout", "1", "--timeout", "2", "t"], "--timeout is given twice", "keep one of the two"),
        (["--memory", "12x", "t"], "--memory '12x' is not a size", SIZE),
        (["--memory", "1.5g", "t"], "--memory '1.5g' is not a size", SIZE),
        (["--memory", "0", "t"], "--memory '0' is out of range: it is too small", SIZE),
        (
            ["--memory", "1m", "t"],
            "--memory '1m' is out of range: the engine gives no container less than 6m",
            SIZE,
        ),
        (
            ["--cpus", "0", "t"],
            "--cpus '0' is out of range: the engine takes 0.01 and more, up to what the machine has",
            CPUS,
        ),
        (["--cpus", "-1", "t"], "--cpus '-1' is out of range: it is too small", CPUS),
        (["--cpus", "nan", "t"], "--cpus 'nan' is not a number of CPUs", CPUS),
        (["--pull", "nevr", "t"], "--pull 'nevr' is not missing, never or always", "did you mean never?"),
        (["--pull", "soon", "t"], "--pull 'soon' is not missing, never or always", "use one of the three"),
        (
            ["--out", "a.b", "t"],
            "--out 'a.b' is not the name of a variable",
            "use letters, digits and _, e.g. --out result",
        ),
        (
            ["--out", "class", "t"],
            "--out 'class' is not the name of a variable",
            "use letters, digits and _, e.g. --out result",
        ),
        (
            ["--manifest", "", "t"],
            "--manifest '' is not the path of a manifest",
            "name a skills.toml, or a directory that has one",
        ),
        (["--quiet=yes", "t"], "--quiet takes no value", "write --quiet alone"),
        (["--raw", "--expand", "t"], "--raw and --expand contradict each other", "keep one of the two"),
        (["--keep", "t"], "--keep goes with --bg", "a run in the foreground ends with its cell"),
        (["list", "x"], "list does not take 'x'", "write `%skill list`"),
        (["list", "--", "x"], "list takes no --", "write `%skill list`"),
        (
            ["list", "--timeout", "3"],
            "list has no option --timeout",
            "`%skill list --help` lists its options",
        ),
        (["t", "--json", "--", "x"], "run has no option --json", "`%skill run --help` lists its options"),
        (["map"], "map is not in this version", "`%skill --help` lists the verbs"),
        (["map", "t", "a", "--", "x"], "map is not in this version", "`%skill --help` lists the verbs"),
        (["lock", "--help"], "lock is not in this version", "`%skill --help` lists the verbs"),
        (["report", "a", "b"], "report is not in this version", "`%skill --help` lists the verbs"),
        (["info", "a", "b"], "info does not take 'b'", "write `%skill info NAME`"),
        (["check", "a", "b"], "check does not take 'b'", "write `%skill check [PATH]`"),
        (
            ["trust"],
            "trust needs the name of a skill, or --all",
            "write `%skill trust NAME` or `%skill trust --all`",
        ),
        (
            ["trust", "x", "--all"],
            "trust --all takes no name",
            "write `%skill trust NAME` or `%skill trust --all`",
        ),
        ([""], "run was given an empty name", "write `%skill run NAME [-- ARGS...]`"),
        (["--no-stdin", "t"], "--no-stdin is for a shell", "the body of a %%skill cell is the tool's input"),
        (["-i", "t"], "--interactive is for a shell", "the body of a %%skill cell is the tool's input"),
    ],
)
def test_bad_words_get_an_error_with_the_way_out(words: list[str], message: str, hint: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse(words)
    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--out", "r", "t"], "leave it out in a shell, and redirect the output: > FILE"),
        (["--bg", "t"], "leave it out in a shell, which has & for it"),
        (["run", "--raw", "t"], "leave it out in a shell, where {name} is left as it is"),
        (["t", "--expand", "--"], "leave it out in a shell, which fills in its own variables"),
        (["--keep", "t"], "leave it out in a shell"),
    ],
)
def test_what_is_for_notebooks_is_refused_in_a_shell(words: list[str], hint: str) -> None:
    parse([*words[:1], "--bg", *words[1:]] if words[0] == "--keep" else words, door="magic")
    with pytest.raises(CommandError, match=r"^--\w+ is for a notebook$") as caught:
        parse(words, door="shell")
    assert caught.value.hint == hint


def test_a_shell_is_told_of_skill_without_the_percent_sign() -> None:
    with pytest.raises(CommandError) as caught:
        parse(["info"], door="shell")
    assert caught.value.hint == "write `skill info NAME`; `skill list` lists them"
    with pytest.raises(CommandError, match=r"^unknown option --expnd$"):  # one for notebooks is not near
        parse(["--expnd", "t"], door="shell")


@pytest.mark.parametrize(
    "text", ["{a}", "$HOME", "${X}", "; rm -rf /", "a\nb", "'\"\\", "-", "--x", "日本語 \u202e", " "]
)
def test_arguments_are_verbatim(text: str) -> None:
    request = parse(["t", "--", text, "--", text]).request
    assert request is not None
    assert request.args == (text, "--", text)


@settings(deadline=None)
@given(
    st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=10), max_size=6)
)
def test_any_words_behind_the_dashes_are_the_tools(args: list[str]) -> None:
    assert parse(["t", "--", *args]) == run("t", tuple(args))


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["t", "run", "list", "--", "-q", "--out", "r", "x", "--json", "-", "", "{a}"]),
        max_size=6,
    )
)
def test_any_words_are_a_command_or_a_command_error(words: list[str]) -> None:
    with contextlib.suppress(CommandError):
        assert parse(words, namespace={"a": ["--", "run"]}).verb in (*VERBS, "help")


def test_values_of_the_notebook_are_filled_in() -> None:
    namespace = {"files": ["--", "a b"], "seconds": 5, "tool": "ffmpeg", "name": "r"}
    words = ["{tool}", "--timeout", "{seconds}", "--out", "{name}", "--", "-i", "{files}", "{seconds}"]
    expected = run("ffmpeg", ("-i", "--", "a b", "5"), timeout=5.0, out="r")
    assert parse(words, namespace=namespace) == expected
    assert parse(["{tool}", "{files}"], namespace=namespace) == run("ffmpeg", ("--", "a b"))


def test_a_value_never_passes_for_an_option_or_for_the_dashes() -> None:
    sly = {"a": "--privileged", "b": "--", "c": ["--timeout", "9"]}
    assert parse(["t", "--", "{a}", "{b}", "{c}"], namespace=sly) == run(
        "t", ("--privileged", "--", "--timeout", "9")
    )
    assert parse(["t", "{b}", "{c}"], namespace=sly) == run("t", ("--", "--timeout", "9"))
    assert parse(["{a}", "x"], namespace=sly) == run("--privileged", ("x",))
    with pytest.raises(CommandError, match="is a list of 2"):
        parse(["--timeout", "{c}", "t"], namespace=sly)


def test_raw_leaves_braces_alone() -> None:
    assert parse(["--raw", "t", "--", "{a}"], namespace={}) == run("t", ("{a}",), raw=True)
    assert parse(["t", "--raw", "--", "{a}"], namespace={}) == run("t", ("{a}",), raw=True)
    with pytest.raises(CommandError, match="no variable is called 'a'"):
        parse(["t", "--", "{a}", "--raw"], namespace={})


def test_arguments_as_long_as_linux_takes_them() -> None:
    check_arguments(["a" * 100_000])
    check_arguments(["a" * 131_071])
    check_arguments(["é" * 65_535])
    for word in ("a" * 131_072, "é" * 65_536, "a" * 200_000):
        with pytest.raises(CommandError, match="131,071 at most") as caught:
            check_arguments(["-x", word])
        assert len(caught.value.message) < 200
    with pytest.raises(CommandError, match="Linux takes about 2 million"):
        check_arguments(["a" * 100_000] * 21)
    check_arguments(["a" * 100_000] * 19)


@pytest.mark.parametrize(
    ("word", "message"), [("a\0b", "a NUL at position 2"), ("a\udcff", "not valid UTF-8")]
)
def test_arguments_that_no_program_can_be_given(word: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        parse(["t", "--", word])


def test_every_option_has_a_field_and_every_field_an_option() -> None:
    fields = {field.name: field.default for field in dataclasses.fields(Options)}
    assert set(fields) == set(OPTIONS)
    for option in OPTIONS.values():
        assert fields[option.name] == (False if option.value is None else None)
        assert set(option.verbs) <= set(VERBS)


@pytest.mark.parametrize("door", ["magic", "shell"])
def test_the_help_names_every_verb_and_option_that_there_is_here(door: Door) -> None:
    text = help_text(None, door)
    words = {word.strip(",") for line in text.splitlines() for word in line.split()}
    heads = {line.split()[0] for line in text.splitlines() if line.startswith("  ")}
    for option in OPTIONS.values():
        assert (option.long in words) == (door in option.doors), option.long
    for verb, facts in VERBS.items():
        assert (verb in heads) == (not facts.reserved), verb
    assert text.startswith("%skill " if door == "magic" else "skill ")
    assert ("%" in text) == (door == "magic")
    assert max(map(len, text.splitlines())) <= 88
    assert help_text("nonsense", door) == text


@pytest.mark.parametrize("door", ["magic", "shell"])
@pytest.mark.parametrize("verb", USABLE)
def test_the_help_on_a_verb_names_its_options_and_no_others(verb: str, door: Door) -> None:
    words = {word.strip(",") for line in help_text(verb, door).splitlines() for word in line.split()}
    for option in OPTIONS.values():
        assert (option.long in words) == option.fits(verb, door), option.long
        assert (option.long in words) == (option.long in option_names(verb, door)), option.long
    assert verb in words


def test_the_help_on_a_cell_is_a_usage_line() -> None:
    assert help_text("cell").startswith("%%skill [options] NAME")
