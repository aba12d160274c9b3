"""What the lines of failed tools look like, for :mod:`skill_magic.views.cause`.

All patterns are linear on lines of bounded length: no nested repeats, and each is searched once a line.
"""

from __future__ import annotations

import re

_I = re.IGNORECASE

WORD = re.compile(r"[^\W\d_]{2}")
"""Letters: a line without them is a rule, a caret, a number."""

LABEL = re.compile(
    r"\b(?:fatal|panic|error|erreur|fehler|fout|errore)(?:\[\w+\])?\s?:"
    r"|\b(?:FATAL|PANIC|ERROR|FAIL|FAILED|CRITICAL|SEVERE|Fatal)\b|\bpanicked at\b"
    r"|^(?:Error|Fehler|Erreur) (?:in|at|during) |^error during |^(?:ERR|WRONGTYPE|NOAUTH|WRONGPASS|NOPERM) "
    r"|^CMake Error |\b(?:parse|parsing) exception\b|^npm (?:ERR!|error) |^E   +\S|^CONFLICT |[Ff]atal error|^Error "
    r"|\blevel[\"']?\s?[=:]\s?[\"']?(?:error|fatal|critical|panic)",
)
"""A plain statement that what follows is an error."""

EXCEPTION = re.compile(
    r"(?:Exception in thread \"[^\"]*\" |Caused by: |\[cause\]: |Uncaught |Unhandled )?"
    r"(?:[A-Za-z_][\w$]{0,60}\.){0,12}\w{0,60}"
    r"(?:Error|Exception|Exit|Interrupt|Warning|Rejection|Group|Iteration|Timeout|Failure|Fault|NotFound)\w{0,60}"
    r"(?: \[\w+\]| \(\w+\))?(?::|\]|$)"
)
"""An exception's name at the start of a line."""

HARD = re.compile(
    r"no such |not found|permission denied|denied|refused|does not exist|doesn't exist|no space left"
    r"|out of memory"
    r"|resolve|timed out|\btimeout (?:expired|exceeded|after|reached)|unreachable"
    r"|not permitted|is a directory|not a directory|read-only file"
    r"|already exists|disk quota|too many|name resolution|cannot stat|no module|address already in use"
    r"|nicht gefunden|keine berechtigung|introuvable|aucun fichier|no existe|refusée?|verweigert"
    r"|rejected|not matched|undefined reference|segmentation fault|bus error|killed\b|heap limit"
    r"|\b(?:un|not )recogni[sz]ed\b|nicht \w+ffnen"
    r"|could not open|cannot open|can't open|unable to open|conflict|exhausted|used up",
    _I,
)
"""Reasons that systems and tools give for a failure."""

SOFT = re.compile(
    r"\bfail|\bcannot\b|\bcan't\b|\bcould ?n[o']t\b|\bcouldn't\b|\bunable\b|\bunknown\b|\bunrecogni[sz]ed\b"
    r"|\binvalid\b|\bmissing\b|\bundefined\b|\bundeclared\b|\bunexpected\b|\bexpected\b|\bunsupported\b|\bbad\b"
    r"|\billegal\b|\bincorrect\b|\bwrong\b|\bcorrupt|\bimproper\b|\btruncated\b|\bno \w+ delegate\b|\bnot a[n ]"
    r"|\bnot in \w+ format\b|\bnot divisible\b|\bnot defined\b|\bnot declared\b|\bnot supported\b"
    r"|\bnot valid\b|\brequired\b|\brequires\b|\bmismatch|\bunterminated\b|\bunmatched\b|\bunbound\b|\bviolat"
    r"|\baborted?\b|\bdied\b|\bcrash|\battempt to\b"
    r"|\bno (?:match|rule|input|output|default)|\bmatches no\b|\bnothing to do\b"
    r"|\bonly \w.{0,100} (?:is|are) supported\b"
    r"|\bsyntax error\b|\bparse error\b|\bnot (?:be )?(?:loaded|read|written|opened|provided|given|known)\b"
    r"|\bfehl|\bimpossible\b|\bungültig|\bunbekannt|\bstimmt mit keinen\b",
    _I,
)
"""Words of lines that say what was wrong."""

MILD = re.compile(r"\berrors?\b|\bexception\b|\bproblem\b|\bfehler\b|\berreur\b|\bnot\b|\bno\b", _I)
"""Words that may mean a failure where nothing else does."""

QUIET = re.compile(
    r"^\W{0,8}(?:[^\s:]{1,200}:\s?){0,6}(?:warning|warn|note|info|debug|notice|remark|hinweis|warnung)\b\s?[:\]]"
    r"|^.{0,80}?\b(?:INFO|DEBUG|NOTICE|TRACE|WARN|WARNING)\b|Warning: |:   required (?:from|by) |In instantiation of"
    r"|\blevel[\"']?\s?[=:]\s?[\"']?(?:info|debug|warn|trace|notice)",
)
"""Labels of lines that are no error."""

HINT = re.compile(
    r"^\W{0,8}(?:\S{1,60}: )?(?:hint|help|tip): |^\s*Try [`'\"]?\S+|try '\S+ --help|^See '|^See also|^Run '.*for more|"
    r"^For more information|A complete log of this run|To see a list of|^note: run with|^\[notice\]|"
    r"^npm (?:notice|error enoent This is related)|^\s*Is the server running",
    _I,
)
"""Advice that follows an error."""

DERIVED = re.compile(
    r"^[\w.-]{1,40}(?:\[\d+\])?: \*\*\* .*\bError \d+|"
    r"\bnot remade because\b|^error: aborting due to|^error: could not compile|^error: test failed|"
    r"^compilation terminated|^collect2: |\bld returned \d|^Conversion failed!|^Execution halted|"
    r"^Ausführung angehalten|^\d+ errors?\b|\b\d+ compile errors?\b|Child returned status|"
    r"Error is not recoverable|Exiting with failure|^exit status \d|\bBEGIN failed--|aborted due to comp|"
    r"Task finished with error code|Terminating thread with return code|^Aborting\b|^Emitted 'error' event|"
    r"^Error (?:opening|parsing options for) (?:in|out)put file|\bError (?:muxing a packet|selecting an encoder)|"
    r"^npm error (?:code|errno|syscall|path|command|signal|Lifecycle)|^npm error(?: \w+)?$|^Aborted\b|"
    r"^Unable to load certificate|^error: failed to push|Automatic merge failed|each undeclared identifier|"
    r"Configuring incomplete|Generate step failed|Nothing was written into output file|"
    r"Error sending frames to consumers",
)
"""Lines that follow from the error and do not tell it."""

NOISE = re.compile(
    r"^\s+configuration: |^\s+lib\w+\s+\d|^\s+built with |Last message repeated|^\s+at |^\s+from .*[:>]|"
    r"^\s+\.\.\. \d|^\s*throw\b|^#\d+ |^\s*thrown in |^goroutine \d|^(?:stack traceback|Stack trace|Require stack):|"
    r"^Calls: |^Node\.js v\d|^\s*frame=|^Segmentation fault$|^Press \[q\]|^\s*\d+: 0x|^\s*Stream #\d|muxing overhead|"
    r"\bMark-Compact\b|^npm error\s\s|^\s+\w+: '[A-Z_]+',?$|"
    r"^\s+\S+:\d+: in |^\s+\[C\]: in ",
)
"""Banners, stacks and meters."""

USAGE = re.compile(r"^\s*usage\b(?::| of| summary)|^options:$|^SYNOPSIS$", _I)
"""Starts a text about how to call the tool."""

CODE = re.compile(r"\s*\d+ \| |\s+\| |>\s+\S")
"""A line of source that a compiler shows."""

LOCATION = re.compile(r"(?:\./)?[\w./<>+-]+:\d+(?::\d+)?(?::|$)")
"""``file:line:column:`` at the start of a line."""

COMPILER = re.compile(r"(?:\./)?[\w./+-]+:\d+(?::\d+)?: |error\[\w+\]: ")
"""A compiler's error, of which the first counts."""

FILE = re.compile(r"Error (?:opening|parsing options for) (?:in|out)put file (\S.*)\.")
"""FFmpeg's line with the name of the file that its reason is about."""

CHILD = re.compile(r"\bCalledProcessError\b|\bsubprocess\b|\bcommand\b.*\bfailed\b", _I)
"""An exception that only says that another program failed, whose own words stand above."""

TEST = re.compile(r"^(?:FAIL|ERROR): ")
"""The name of a test that failed, above its traceback."""

METER = re.compile(r"^[\d\s:.kMG-]*--:--:--\s+\d*")
"""curl's meter, in front of its error."""
