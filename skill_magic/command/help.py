"""The help on the verbs and options: only what there is, and what has a meaning where it is asked for."""

from __future__ import annotations

from .grammar import USABLE, VERBS, Door, Option, options_of


def help_text(topic: str | None = None, door: Door = "magic") -> str:
    """The help on a verb, on ``cell`` (what a cell's body is), or, without a topic, on all of it."""
    if topic == "cell":
        return "\n".join(
            (
                "%%skill [options] NAME [-- ARGS...]",
                "the script, SQL or arguments for the skill, in the lines below",
            )
        )
    me = "%skill" if door == "magic" else "skill"
    if topic not in USABLE:
        return _overview(me, door)
    facts = VERBS[topic]
    lines = [f"{me} {topic} [options] {facts.usage}".rstrip(), f"  {facts.meaning}", "", "Options:"]
    return "\n".join([*lines, *_option_lines(options_of(topic, door))])


def _overview(me: str, door: Door) -> str:
    lines = [
        f"{me} [options] NAME [-- ARGS...]",
        "  Run a skill. Everything after -- goes to the tool unchanged. Without --, every word",
        f"  after NAME goes to the tool, except when only {me}'s own long options follow:",
        "  NAME --timeout 60",
    ]
    if door == "magic":
        lines += [
            "  {name}, {obj.attr} and {d[key]} are filled in from the notebook.",
            "%%skill [options] NAME [-- ARGS...]",
            "  The same; the lines below go to the tool's standard input, or are its arguments.",
        ]
    heads = {f"{verb} {VERBS[verb].usage}": VERBS[verb].meaning for verb in USABLE}
    width = max(map(len, heads))
    lines += ["", "Verbs:", *(f"  {head:{width}}  {meaning}" for head, meaning in heads.items())]
    return "\n".join([*lines, "", "Options:", *_option_lines(options_of(None, door))])


def _option_lines(chosen: list[Option]) -> list[str]:
    heads = [
        ", ".join(filter(None, (option.short, option.long))) + f" {option.value or ''}" for option in chosen
    ]
    heads = [*(head.rstrip() for head in heads), "-h, --help"]
    meanings = [*(option.meaning for option in chosen), "this text"]
    width = max(map(len, heads))
    return [f"  {head:{width}}  {meaning}" for head, meaning in zip(heads, meanings, strict=True)]
