"""Text from strangers: in every form that a person or a program is shown, one line each, nothing obeyed, no markup."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import re
import subprocess
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skill_magic import errors
from skill_magic.answer import Answer, Block, Findings, Table, Text, Verbatim
from skill_magic.door import ask_kernel
from skill_magic.events import Note, Pulling, Started
from skill_magic.files import FileChange
from skill_magic.findings import Violation
from skill_magic.foreign import hides, line, lines, markup, shell
from skill_magic.output import saved
from skill_magic.result import RunResult
from skill_magic.text import label
from skill_magic.verbs.pull import _line as pull_line
from skill_magic.views import card
from skill_magic.views.panel_state import PanelState
from skill_magic.views.stream import StreamView

HOSTILE = (
    "\x1b]0;PWNED\x07\x1b[2J\x9b2J\u202egnp\u2066\u2028FORGED\u2029FORGED\nFORGED\r\nFORGED\rFORGED\x85FORGED\x0bFORGED"
    "\x0cFORGED\x1cFORGED\tx\u200b\u200d\ufe0f\xad\u3164\U000e0041\x7f\ud800"
    "<script>alert(1)</script><img src=http://evil.test/x>![x](http://evil.test/y)\n\n```\n$$\\rule{9px}{9px}$$\\(x\\)"
)
# Of all that a name may hold, much of what is not seen.
TEXTS = st.text(st.one_of(st.characters(), st.sampled_from(sorted(set(HOSTILE)))), max_size=30)


def forbidden(character: str) -> bool:
    """By Unicode's own tables, apart from the package's."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def bad(text: str, *, but: str = "") -> set[str]:
    """The characters of ``text`` that no output may hold."""
    return {each for each in text if forbidden(each) and each not in but}


class Page(HTMLParser):
    """Elements and text of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.first: dict[str, str | None] = {}
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self.tags:
            self.first = dict(attrs)
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


class TestLine:
    @given(TEXTS)
    def test_nothing_forbidden_and_one_line(self, text: str) -> None:
        said = line(text)
        assert bad(said) == set()
        assert len(said.splitlines()) <= 1
        assert line(said) == said
        assert hides(text) == (said != text)
        said.encode()  # a terminal can be told it

    @given(TEXTS)
    def test_many_lines_keep_their_line_ends_only(self, text: str) -> None:
        assert bad(lines(text), but="\n\t") == set()
        assert lines(text).count("\n") == text.count("\n")

    @given(TEXTS, TEXTS)
    def test_what_differs_never_looks_the_same(self, one: str, other: str) -> None:
        if "\\" not in one + other:
            assert (line(one) == line(other)) == (one == other)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("a\x1b[2Jb\x07", "a\\x1b[2Jb\\x07"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u202ea\u2028b", "\\u202ea\\u2028b"),
            ("\U000e0041\x9b", "\\U000e0041\\x9b"),
            ("é 日本 العربية 🎉 a b", "é 日本 العربية 🎉 a b"),
            ("\udcff", "\\udcff"),
        ],
    )
    def test_what_it_says(self, text: str, said: str) -> None:
        assert line(text) == said
        assert label(text) == said

    @pytest.mark.parametrize("character", "\u034f\u115f\u1160\u17b4\u3164\uffa0\ufe00\ufe0f\U000e0100\u180b")
    def test_what_is_not_seen_though_unicode_calls_it_a_letter(self, character: str) -> None:
        assert hides(f"a{character}b")


class TestMarkup:
    @given(TEXTS)
    def test_a_browser_shows_the_text_and_markdown_finds_nothing(self, text: str) -> None:
        made = markup(text)
        page = Page(f'<p title="{made}">{made}</p>')
        assert page.tags == ["p"]
        assert not set(made) & set("<>\"'`*[]!~$\\\n")
        clean = line(text).replace("\\", "/")
        assert Page(f"<p>{markup(clean)}</p>").text == clean


class TestShell:
    @pytest.mark.parametrize(
        "text", [HOSTILE.replace("\ud800", "\udcff"), "a b", "it's\n", "\\\n1", "\x011", "", "$x"]
    )
    def test_bash_reads_the_same_words(self, text: str) -> None:
        said = shell(["printf", "%s|", text, "end"])
        assert bad(said) == set()
        done = subprocess.run(["bash", "-c", said], capture_output=True, check=True)
        assert done.stdout == f"{text}|end|".encode("utf-8", "surrogateescape")


def a_violation(text: str) -> Violation:
    return Violation("code", text, text, text, text, text, Path(f"/x/{text}"), 1, "invalid", False)


def a_result(text: str, state: Any = "failed") -> RunResult:
    return RunResult(
        skill=text,
        args=(text,),
        image=text,
        state=state,
        exit_code=1,
        duration=1.0,
        started=0.0,
        output=saved(b"out", b"err"),
        digest=text,
        image_id=text,
        command_line=f"docker run {text}",
        network=text,
        error_text=text,
        files=(FileChange(os.fsdecode(text.encode("utf-8", "surrogatepass")), "created", 1),),
        notes=(text,),
        lines={text: text},
        hints=(text,),
    )


Kind = type[errors.SkillError | errors.SkillInterrupted]

PLAIN: list[Kind] = [
    *(errors.SkillError, errors.CommandError, errors.SkillNotFound, errors.EngineError, errors.EngineLost),
    *(errors.EngineUnavailable, errors.ImageError, errors.GpuUnavailable),
]
FOUND: list[Kind] = [errors.SpecError, errors.ManifestError, errors.PolicyError]
RUNS: list[Kind] = [
    *(errors.RunError, errors.SkillFailed, errors.SkillKilled, errors.SkillTimeout, errors.SkillStopped),
    errors.SkillInterrupted,
]


def an_error(kind: Kind, text: str) -> errors.SkillError | errors.SkillInterrupted:
    """An error of that kind that says ``text`` wherever it can."""
    made: Any = kind
    if kind in RUNS:
        return made(text, text, result=a_result(text), more=[text])  # type: ignore[no-any-return]
    return made(text, [a_violation(text)] * 2, text) if kind in FOUND else made(text, text)  # type: ignore[no-any-return]


class TestErrors:
    @pytest.mark.parametrize("kind", [*PLAIN, *FOUND, *RUNS])
    @given(text=TEXTS)
    def test_no_stranger_has_a_line_of_their_own(self, kind: Kind, text: str) -> None:
        error, harmless = an_error(kind, f"n{text}"), an_error(kind, "x")
        assert bad("".join(error.lines())) == set()
        assert len("\n".join(error.lines()).splitlines()) == len(harmless.lines())
        assert bad("".join(error._render_traceback_())) == set()
        # What a traceback shows of it.
        assert bad(str(error), but="\n") == set()
        assert str(error).count("\n") == str(harmless).count("\n")
        assert bad(repr(error)) == set()

    def test_every_kind_is_among_them(self) -> None:
        assert {kind.__name__ for kind in (*PLAIN, *FOUND, *RUNS)} == set(errors.__all__)

    def test_a_hint_that_is_added_later_is_no_way_around(self) -> None:
        error = errors.SkillFailed("x", result=a_result("x"))
        error.hint = HOSTILE
        assert bad("".join(error.lines())) == set()
        assert len(error.lines()) == 2

    def test_an_error_can_be_copied(self) -> None:
        assert copy.copy(errors.SkillError("a\nb", "c")).lines() == ["SkillError: a\\nb", "hint: c"]


class TestAnswers:
    @given(TEXTS)
    def test_each_block_has_its_lines_whatever_is_in_them(self, text: str) -> None:
        def answer(text: str) -> Answer:
            table = Table(("a", "b"), [(text, text), (text, 1)])
            blocks: list[Block] = [
                Text(f"x {text}"),
                Verbatim(f"x {text}"),
                table,
                Findings([a_violation(text)]),
            ]
            return Answer(blocks, {"key": text, text: 1})

        said = answer(text)
        assert bad(said.text(), but="\n") == set()
        assert said.text().count("\n") == answer("y").text().count("\n")
        assert bad(said.json(), but="\n") == set()
        assert json.loads(said.json())["key"] == text
        html = said.html()
        assert bad(html) == set()
        assert Page(html).tags == Page(answer("y").html()).tags
        assert Page(html).first["class"] == "mathjax_ignore tex2jax_ignore"


class TestCards:
    @pytest.mark.parametrize("state", ["finished", "failed", "out-of-memory", "killed", "lost", "timeout"])
    @given(text=TEXTS)
    def test_all_forms_of_a_result(self, state: Any, text: str) -> None:
        result = a_result(f"n{text}", state)
        assert bad(repr(result)) == set()
        assert bad(repr(result.files)) == set()
        said = card.text(result)
        assert bad(said, but="\n") == set()
        assert said.count("\n") == card.text(a_result("x", state)).count("\n")
        html = card.html(result)
        assert bad(html, but="\t") == set()
        assert Page(html).tags == Page(card.html(a_result("x", state))).tags
        assert not set(re.sub(r"data:[^\"]*", "", html)) & set("`[]!$\\")
        notice = card.notice(text, text)
        assert bad("".join(notice.values())) == set()
        error = result.error()
        assert error is None or bad("".join(error.lines())) == set()

    def test_the_panel_is_told_clean_names(self) -> None:
        state = PanelState(label(HOSTILE), label(HOSTILE), label(HOSTILE))
        state.note(HOSTILE)
        head = state.head(0)
        assert bad("".join([head["skill"], head["image"], head["command"], *head["notes"]])) == set()

    @given(TEXTS)
    def test_notes_and_pulls_are_lines_of_their_own(self, text: str) -> None:
        out, err = io.StringIO(), io.StringIO()
        view = StreamView(out, err)
        view.event(Note(f"n{text}"))
        view.event(Pulling(f"i{text}", 1, None, (0, 1), text))
        view.event(Started("c", "n", "i", None, 0.0))
        assert bad(err.getvalue(), but="\n") == set()
        assert err.getvalue().count("\n") == 3
        assert bad(pull_line(Pulling(text, 1, 2, (0, 1), text))) == set()

    def test_questions_are_clean_at_the_door(self) -> None:
        asked: list[str] = []

        class Kernel:
            _allow_stdin = True

            def raw_input(self, question: str) -> str:
                asked.append(question)
                return "y"

        ask = ask_kernel(Kernel())
        assert ask is not None
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            assert ask(f"a\nb {HOSTILE}", f"Allow {HOSTILE}?") == "y"
        assert bad(shown.getvalue(), but="\n\t") == set()
        assert bad("".join(asked)) == set()

    def test_a_background_run_says_its_name_clean(self) -> None:
        from skill_magic.background import Handle

        class Faked(Handle):
            skill, state, name = HOSTILE, "running", HOSTILE

            def __init__(self) -> None:
                pass

        assert bad(repr(Faked())) == set()
