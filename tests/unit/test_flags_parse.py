"""The reader of `extra_args` against what spf13/pflag does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pace import pace
from plan_world import decision

from skill_magic.flags.parse import parse, parse_bool
from skill_magic.flags.table import OPTIONS


def read(*args: str) -> list[tuple[str, str]]:
    parsed = parse(args)
    assert not parsed.faults
    return [(flag.option, flag.value) for flag in parsed.flags]


def codes(*args: str) -> list[str]:
    return [fault.code for fault in parse(args).faults]


@pytest.mark.parametrize(
    ("args", "flags"),
    [
        (["--privileged"], [("privileged", "true")]),
        (["--privileged=1"], [("privileged", "true")]),
        (["--privileged=F"], [("privileged", "false")]),
        (["--memory", "1g"], [("memory", "1g")]),
        (["--memory=1g"], [("memory", "1g")]),
        (["--memory="], [("memory", "")]),
        (["-m1g"], [("memory", "1g")]),
        (["-m=1g"], [("memory", "1g")]),
        (["-m="], [("memory", "=")]),
        (["-v", "/a:/b"], [("volume", "/a:/b")]),
        (["-v=/a:/b"], [("volume", "/a:/b")]),
        (["-itv/:/host"], [("interactive", "true"), ("tty", "true"), ("volume", "/:/host")]),
        (["-qtv", "/:/host"], [("quiet", "true"), ("tty", "true"), ("volume", "/:/host")]),
        (["-iv=/etc:/x"], [("interactive", "true"), ("volume", "/etc:/x")]),
        (["-iu0"], [("interactive", "true"), ("user", "0")]),
        (["-i=false"], [("interactive", "false")]),
        (["-ti=false"], [("tty", "true"), ("interactive", "false")]),
        (["-privileged"], [("publish", "rivileged")]),
        (["-e", "--privileged"], [("env", "--privileged")]),
        (["--label", "--"], [("label", "--")]),
        (["-e", ""], [("env", "")]),
        (["-eFOO=bar", "--env=BAZ=a=b"], [("env", "FOO=bar"), ("env", "BAZ=a=b")]),
        (["-h", "box"], [("hostname", "box")]),
        (["-P"], [("publish-all", "true")]),
        (["--net", "host"], [("network", "host")]),
        (["--net-alias=db"], [("network-alias", "db")]),
        (["--dns-opt", "ndots:1"], [("dns-option", "ndots:1")]),
        (["--rm", "--rm=false"], [("rm", "true"), ("rm", "false")]),
    ],
)
def test_what_pflag_reads(args: list[str], flags: list[tuple[str, str]]) -> None:
    assert read(*args) == flags


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["--priv"], "option-unknown"),
        (["--Privileged"], "option-unknown"),
        (["-z"], "option-unknown"),
        (["-I"], "option-unknown"),
        (["-i="], "option-unknown"),
        (["-é"], "option-unknown"),
        (["--rm; rm -rf /"], "option-unknown"),
        (["--cap-add SYS_ADMIN"], "option-unknown"),
        ([" --rm"], "option-stray"),
        (["--=x"], "option-syntax"),
        (["---rm"], "option-syntax"),
        (["--label"], "option-syntax"),
        (["-h"], "option-syntax"),
        (["-it", "-v"], "option-syntax"),
        (["--privileged=yes"], "option-value"),
        (["--privileged="], "option-value"),
        (["--privileged=tRue"], "option-value"),
        (["--init= true"], "option-value"),
        (["--"], "option-stray"),
        (["-"], "option-stray"),
        ([""], "option-stray"),
        (["debian"], "option-stray"),
        (["--rm", "--", "evil/image"], "option-stray"),
        (["--privileged", "true"], "option-stray"),
        (["\u2014privileged"], "option-stray"),
    ],
)
def test_what_pflag_refuses(args: list[str], code: str) -> None:
    assert codes(*args) == [code]
    assert all(fault.kind == "invalid" for fault in parse(args).faults)


def test_reading_goes_on_after_a_fault() -> None:
    parsed = parse(["--bogus", "--privileged=maybe", "-zv", "--privileged"])
    assert [flag.option for flag in parsed.flags] == ["privileged"]
    assert [fault.field for fault in parsed.faults] == ["extra_args[0]", "extra_args[1]", "extra_args[2]"]


def test_nothing_after_the_image_is_an_option() -> None:
    assert parse(["debian", "--privileged"]).flags == ()
    assert parse(["--", "--privileged"]).flags == ()


def test_a_flag_knows_where_it_stands_and_how_it_was_spelt() -> None:
    first, second = parse(["--net", "none", "-v/a:/b"]).flags
    assert (first.field, first.written) == ("extra_args[0]", "--net")
    assert (second.field, second.written) == ("extra_args[2]", "-v")


def test_the_way_out_of_a_misspelt_option() -> None:
    (fault,) = parse(["--cap-ad", "x"]).faults[:1]
    assert "--cap-add" in fault.fix
    assert "two items" in parse(["--cap-add CHOWN"]).faults[0].fix


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
def test_true(text: str) -> None:
    assert parse_bool(text) is True


@pytest.mark.parametrize("text", ["0", "f", "F", "FALSE", "false", "False"])
def test_false(text: str) -> None:
    assert parse_bool(text) is False


@pytest.mark.parametrize("text", ["", "yes", "on", "2", "tRUE", " true", "１"])
def test_neither(text: str) -> None:
    assert parse_bool(text) is None


def test_what_no_person_writes_is_refused_before_it_is_looked_at() -> None:
    assert read("--workdir", "/" * 4096, "-e", "A=" + "x" * 100_000) != []
    parsed = parse(
        ["--workdir", "/" * 4097, "-eA=" + "x" * 131_070, "-" + "i" * 100_000, "--x" + "y" * 100_000]
    )
    assert [fault.code for fault in parsed.faults] == [
        "option-too-long",
        "option-too-long",
        "option-syntax",
        "option-unknown",
    ]
    assert all(len(fault.value) + len(fault.reason) < 300 for fault in parsed.faults)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "args",
    [["--cpus", "0" * 4095 + "x"], ["--device", "/x:" + "".join(map(chr, range(0x4E00, 0x4E00 + 4090)))],
     ["--device", "a." * 2000 + "/x"], ["--device", "a." * 2000 + "-/x=y"]],
    ids=["cpus", "device", "cdi", "cdi-grant"],
)  # fmt: skip
def test_the_longest_values_take_no_time(tmp_path: Path, args: list[str]) -> None:
    start = time.process_time()
    for _ in range(3):
        assert decision(tmp_path, *args).verdict != "allow"
    assert time.process_time() - start < 0.2 * pace()


WORDS = st.one_of(
    st.sampled_from([f"--{name}" for name in OPTIONS] + ["-it", "-v", "-m", "--", "-", ""]),
    st.text(max_size=12),
    st.text(max_size=6).map("-".__add__),
    st.text(max_size=6).map("--".__add__),
)


@given(st.lists(WORDS, max_size=8))
def test_every_word_is_an_option_a_value_or_a_fault(args: list[str]) -> None:
    parsed = parse(args)
    assert all(flag.option in OPTIONS and not OPTIONS[flag.option].alias for flag in parsed.flags)
    assert bool(args) == bool(parsed.flags or parsed.faults)


# A NUL ends a word before it reaches anybody; Docker's own arguments cannot hold one.
VALUES = st.text(st.characters(exclude_characters="\0"), max_size=20)


@given(st.sampled_from([option for option in OPTIONS.values() if not option.boolean]), VALUES)
def test_a_value_arrives_unchanged_in_every_spelling(option: object, value: str) -> None:
    name, short = option.name, option.short  # type: ignore[attr-defined]
    spellings = [[f"--{name}", value], [f"--{name}={value}"]]
    if short:
        spellings.append([f"-{short}", value])
        if value and not value.startswith("="):
            spellings.append([f"-{short}{value}"])
        if value:
            spellings.append([f"-{short}={value}"])
    assert {parse(words).flags[0].value for words in spellings} == {value}
