"""The grammar: what words on a line mean, in a notebook and in a shell, and what bad ones get."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
        (["lock"], Command("lock")),
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
            "--timeout went to the tool; for %skill write it first: %skill --timeout",
        ),
        (["t", "x", "--no-raise"], "%skill --no-raise t …"),
        (["t", "x", "--memory=1g"], "%skill --memory=1g t …"),
        (["t", "-o", "z"], "%skill -o NAME t …"),
        (["t", "x", "-o", "z"], ""),
        (["t", "-m", "json.tool"], ""),
        (["t", "--", "--timeout", "1", "x"], ""),
        (["t", "--verbose"], ""),
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
    assert "Without -- all words after NAME" in help_text()


def test_explain_and_map_take_arguments_as_run_does() -> None:
    explained = parse(["explain", "ffmpeg", "--json", "--", "-i", "a"])
    assert (explained.verb, explained.options.json) == ("explain", True)
    assert explained.request == Request("ffmpeg", ("-i", "a"), None, Options(json=True))
    # Nobody means a tool's option here: there is no other word.
    assert parse(["explain", "ffmpeg", "--json"]).options.json
    assert parse(["explain", "ffmpeg", "-i", "--json"]).request == Request("ffmpeg", ("-i", "--json"))
    mapped = parse(["map", "ffmpeg", "a.mp4", "b.mp4", "--", "-i", "x"])
    assert mapped.names == ("ffmpeg", "a.mp4", "b.mp4")
    assert mapped.request == Request("ffmpeg", ("-i", "x"))


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["--", "x"], "no skill is named", "%skill [options] NAME -- ARGS"),
        (["run"], "run needs a name", "%skill run NAME"),
        (["--quiet"], "no skill is named", "NAME"),
        (["t", "--network", "host", "--", "x"], "--network is no option of %skill", "belong in the manifest"),
        (["--privileged", "t"], "--privileged is no option", "right of --"),
        (["-v", "/:/host", "t", "--"], "-v is no option", "right of --"),
        (["--tiemout", "3", "t"], "--tiemout is no option", "did you mean --timeout?"),
        (["--time", "3", "t"], "--time is no option", "right of --"),
        (["-qq", "t"], "-qq is no option", "right of --"),
        (["t", "extra", "--", "x"], "'extra' stands between the skill's name and --", "t -- extra"),
        (["--timeout"], "--timeout needs a value", "SECONDS"),
        (["--timeout", "soon", "t"], "--timeout 'soon' cannot be read", "number of seconds"),
        (["--timeout", "0", "t"], "--timeout '0' is out of range", "above 0"),
        (["--timeout", "-1", "t"], "--timeout '-1' is out of range", "above 0"),
        (["--timeout", "nan", "t"], "--timeout 'nan' cannot be read", "above 0"),
        (["--timeout", "1e3", "t"], "--timeout '1e3' cannot be read", "above 0"),
        (["--timeout", "9" * 400, "t"], "is out of range", "above 0"),
        (["--timeout", "٣", "t"], "cannot be read", "above 0"),
        (["--timeout=", "t"], "--timeout '' cannot be read", "above 0"),
        (["--timeout", "1", "--timeout", "2", "t"], "--timeout is given twice", "keep one"),
        (["--memory", "1.5g", "t"], "--memory '1.5g' cannot be read", "512m"),
        (["--memory", "0", "t"], "--memory '0' is out of range", "512m"),
        (["--memory", "1m", "t"], "--memory '1m' is out of range", "less than 6m"),
        (["--cpus", "0", "t"], "--cpus '0' is out of range", "0.5"),
        (["--cpus", "-1", "t"], "--cpus '-1' is out of range", "0.5"),
        (["--cpus", "nan", "t"], "--cpus 'nan' cannot be read", "0.5"),
        (["--pull", "sometimes", "t"], "--pull 'sometimes' cannot be read", "missing, never or always"),
        (["--out", "a.b", "t"], "--out 'a.b' cannot be read", "name of a variable"),
        (["--stdout", "-", "t"], "--stdout '-' cannot be read", "such as out.txt"),
        (["--stdout", "", "t"], "--stdout '' cannot be read", "such as out.txt"),
        (["--stdout", "o", "explain", "t"], "explain takes no --stdout", "explain --help"),
        (["--out", "class", "t"], "--out 'class' cannot be read", "name of a variable"),
        (["--manifest", "", "t"], "--manifest '' cannot be read", "path of a manifest"),
        (["--quiet=yes", "t"], "--quiet takes no value", "--quiet alone"),
        (["--raw", "--expand", "t"], "contradict", "keep one"),
        (["--keep", "t"], "--keep goes with --bg", "foreground"),
        (["list", "x"], "list does not take 'x'", "%skill list"),
        (["list", "--", "x"], "list takes no --", "%skill list"),
        (["list", "--timeout", "3"], "list takes no --timeout", "%skill list --help"),
        (["t", "--json", "--", "x"], "run takes no --json", "%skill run --help"),
        (["info"], "info needs a name", "%skill info NAME"),
        (["map"], "map is not in this version", "%skill --help"),
        (["report", "a", "b"], "report is not in this version", "%skill --help"),
        (["info", "a", "b"], "info does not take 'b'", "%skill info NAME"),
        (["check", "a", "b"], "check does not take 'b'", "%skill check [PATH]"),
        ([""], "empty name", "%skill run NAME"),
    ],
)
def test_bad_words_get_an_error_with_the_way_out(words: list[str], message: str, hint: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse(words)
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize("words", [["--out", "r", "t"], ["--bg", "t"], ["--raw", "t"], ["--expand", "t"]])
def test_what_is_for_notebooks_is_refused_in_a_shell(words: list[str]) -> None:
    parse(words, door="magic")
    with pytest.raises(CommandError, match="is for notebooks"):
        parse(words, door="shell")


def test_a_shell_is_told_of_skill_without_the_percent_sign() -> None:
    with pytest.raises(CommandError) as caught:
        parse(["info"], door="shell")
    assert caught.value.hint == "skill info NAME"


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


def test_the_help_names_every_verb_and_option() -> None:
    text = help_text(None)
    for word in (*VERBS, *(option.long for option in OPTIONS.values())):
        assert word in text
    assert max(map(len, text.splitlines())) <= 100
    assert help_text("nonsense") == text


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_on_a_verb_names_its_options_and_no_others(verb: str) -> None:
    words = {word.strip(",") for line in help_text(verb).splitlines() for word in line.split()}
    for option in OPTIONS.values():
        assert (option.long in words) == (option.long in option_names(verb)), option.long
    assert verb in words


def test_the_help_on_a_cell_is_a_usage_line() -> None:
    assert help_text("cell").startswith("%%skill [options] NAME")
