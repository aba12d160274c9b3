"""Variables in a manifest: the four forms, what each other form gets, and the split before them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skill_magic.manifest.expand import ExpandError, expand, split

ENVIRONMENT = {
    "HOME": "/home/u",
    "EMPTY": "",
    "EVIL": "/etc:/y",
    "INDIRECT": "${HOME}",
    "DOLLARS": "$$ $HOME `id`",
    "_x1": "underscore",
}


@pytest.mark.parametrize(
    ("text", "expanded", "names"),
    [
        ("", "", ()),
        ("plain text", "plain text", ()),
        ("${HOME}", "/home/u", ("HOME",)),
        ("a${HOME}b${HOME}c", "a/home/ub/home/uc", ("HOME",)),
        ("${_x1}${HOME}", "underscore/home/u", ("_x1", "HOME")),
        ("${EMPTY}", "", ("EMPTY",)),
        ("${NOPE:-default}", "default", ()),
        ("${NOPE:-}", "", ()),
        ("${EMPTY:-default}", "default", ()),
        ("${HOME:-default}", "/home/u", ("HOME",)),
        ("${HOME:?message}", "/home/u", ("HOME",)),
        ("${NOPE:-a:?b}", "a:?b", ()),
        ("${NOPE:-a:-b}", "a:-b", ()),
        ("${HOME:?see :-x}", "/home/u", ("HOME",)),
        ("${NOPE:-{x}}", "{x}", ()),
        ("${NOPE:-${HOME}/.cache}", "/home/u/.cache", ("HOME",)),
        ("${NOPE:-${NOPE2:-${HOME}}}", "/home/u", ("HOME",)),
        ("${HOME:-${NOPE}}", "/home/u", ("HOME",)),
        ("$$", "$", ()),
        ("$$HOME and $${HOME}", "$HOME and ${HOME}", ()),
        ("${NOPE:-a$$b}", "a$b", ()),
        ("a}b{c", "a}b{c", ()),
        ("${EVIL}", "/etc:/y", ("EVIL",)),
        ("${INDIRECT}", "${HOME}", ("INDIRECT",)),
        ("${DOLLARS}", "$$ $HOME `id`", ("DOLLARS",)),
        (r"\${HOME}", r"\/home/u", ("HOME",)),
    ],
)
def test_forms(text: str, expanded: str, names: tuple[str, ...]) -> None:
    found = expand(text, ENVIRONMENT)
    assert (found.text, found.names) == (expanded, names)


@pytest.mark.parametrize(
    ("text", "message", "name"),
    [
        ("${NOPE}", "the variable NOPE is not set", "NOPE"),
        ("${NOPE:?set NOPE first}", "set NOPE first", "NOPE"),
        ("${NOPE:?need: NOPE}", "need: NOPE", "NOPE"),
        ("${NOPE:?}", "the variable NOPE is not set", "NOPE"),
        ("${EMPTY:?it is empty}", "it is empty", "EMPTY"),
        ("${NOPE:?see :-x}", "see :-x", "NOPE"),
        ("${NOPE:-${NOPE2}}", "the variable NOPE2 is not set", "NOPE2"),
        ("$HOME/.ssh", "$HOME has no braces", "HOME"),
        ("$(id)", "$(…) is not expanded: nothing is run here", ""),
        ("`id`", "a backtick is not expanded: nothing is run here", ""),
        ("a $ b", "a lone $ has no meaning", ""),
        ("5$", "a lone $ has no meaning", ""),
        ("$1", "a lone $ has no meaning", ""),
        ("$$$", "a lone $ has no meaning", ""),
        ("${}", "${} names no variable", ""),
        ("${!HOME}", "${!HOME} names no variable", ""),
        ("${1X}", "${1X} names no variable", ""),
        ("${ HOME}", "${ HOME} names no variable", ""),
        ("${#HOME}", "${#HOME} names no variable", ""),
        ("${ÄÖ}", "${ÄÖ} names no variable", ""),
        ("${HOME }", "${HOME } is not one of the forms that are expanded", "HOME"),
        ("${HOME-x}", "${HOME-x} is not one of the forms that are expanded", "HOME"),
        ("${HOME:+x}", "${HOME:+x} is not one of the forms that are expanded", "HOME"),
        ("${HOME//a/b}", "${HOME//a/b} is not one of the forms that are expanded", "HOME"),
        ("${HOME:0:1}", "${HOME:0:1} is not one of the forms that are expanded", "HOME"),
        ("${HOME[0]}", "${HOME[0]} is not one of the forms that are expanded", "HOME"),
        ("${HOME", "${ has no closing brace", ""),
        ("${HOME:-${X}", "${ has no closing brace", ""),
        # A fault in a default that is not used is a fault all the same.
        ("${HOME:-$(id)}", "$(…) is not expanded: nothing is run here", ""),
        ("${HOME:-$X}", "$X has no braces", "X"),
    ],
)
def test_faults_say_what_is_wrong(text: str, message: str, name: str) -> None:
    with pytest.raises(ExpandError) as caught:
        expand(text, ENVIRONMENT)
    assert (caught.value.message, caught.value.name) == (message, name)
    assert caught.value.hint


def test_errors_never_show_a_value() -> None:
    for text in ("${SECRET:+x}", "${SECRET}$", "${SECRET}${NOPE}", "${SECRET"):
        with pytest.raises(ExpandError) as caught:
            expand(text, {"SECRET": "hunter2"})
        assert "hunter2" not in caught.value.message + caught.value.hint


def test_nesting_is_bounded() -> None:
    deep = "${A:-" * 5000 + "x" + "}" * 5000
    with pytest.raises(ExpandError, match="nested too deeply"):
        expand(deep, {})


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", [""]),
        ("a:b", ["a", "b"]),
        ("a::b:", ["a", "", "b", ""]),
        ("${DATA:-/data}:/data:ro", ["${DATA:-/data}", "/data", "ro"]),
        ("${NOPE:?need: NOPE}:/x", ["${NOPE:?need: NOPE}", "/x"]),
        ("${A:-${B:-c:d}}:e", ["${A:-${B:-c:d}}", "e"]),
        ("$${a:b", ["$${a", "b"]),
        ("$$:b", ["$$", "b"]),
        ("${PWD:/x", ["${PWD:/x"]),
        ("{a:b}", ["{a", "b}"]),
    ],
)
def test_split_is_brace_aware(text: str, parts: list[str]) -> None:
    assert split(text) == parts


_TEXTS = st.text(alphabet="ab:$`{}?-+!/X_ \\\né", max_size=30)


@settings(deadline=None)
@given(_TEXTS)
@example("${X:-${X:?:}}:$$")
def test_split_loses_nothing(text: str) -> None:
    assert ":".join(split(text)) == text


@settings(deadline=None)
@given(_TEXTS, st.dictionaries(st.sampled_from(["a", "b", "X", "ab"]), st.text(max_size=5)))
def test_expansion_gives_a_text_or_a_fault_and_names_what_it_used(
    text: str, environment: dict[str, str]
) -> None:
    with contextlib.suppress(ExpandError):
        assert set(expand(text, environment).names) <= environment.keys()


@settings(deadline=None)
@given(st.text(max_size=20), st.text(max_size=10))
def test_a_value_is_data(value: str, around: str) -> None:
    """Whatever stands in a variable arrives as it is, and a text without dollars and backticks is itself."""
    around = around.replace("$", "").replace("`", "")
    assert expand(f"{around}${{V}}{around}", {"V": value}).text == f"{around}{value}{around}"


@settings(deadline=None)
@given(st.text(alphabet="ab$`{}:", max_size=20))
def test_doubled_dollars_protect_everything_but_backticks(text: str) -> None:
    plain = text.replace("`", "")
    assert expand(plain.replace("$", "$$"), {}).text == plain


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "${V}", "$$", "${N:-x}", "/"]), max_size=6), st.text(max_size=8))
def test_values_never_change_the_number_of_parts(pieces: list[str], value: str) -> None:
    parts = split(":".join(pieces))
    assert len([expand(part, {"V": value}) for part in parts]) == max(1, len(pieces))
