"""What the lines look like that :mod:`.hints_output` and its neighbours look for.

All patterns are linear on lines of bounded length: no nested repeats, and each is searched once a line.
"""

from __future__ import annotations

import re

_I = re.IGNORECASE

LOOPBACK = re.compile(
    r"(?<![\w.:-])(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|0\.0\.0\.0|\[?::1(?!:\w*:|:\d*[a-f]))(?![\w-]|\.\w)",
    _I,
)
"""The names of the machine itself, as whole words."""

ADDRESS = re.compile(
    r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])|(?<![\w.])[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}:\d{1,5}(?!\d)"
)
"""An address or a host with a port."""

HOST_NAME = re.compile(r"(?<![\w.-])host\.docker\.internal(?![\w-]|\.\w)", _I)

REFUSED = re.compile(
    r"connection refused|\bECONNREFUSED\b|cannot assign requested address|\bEADDRNOTAVAIL\b|connection was refused",
    _I,
)
"""Nothing listens there. The second is what a container without IPv6 says of `::1`."""

CONNECT = re.compile(r"failed to connect to|(?:could ?n.t|could not|can.?not|can.t|unable to) connect", _I)
"""The same where no reason is given; a sign only together with an address."""

UNRESOLVED = re.compile(
    r"temporary failure in name resolution|name or service not known|name does not resolve"
    r"|(?:could not|couldn't) resolve (?:host|proxy)|failed to resolve host|unable to resolve host"
    r"|could not translate host name|\bEAI_AGAIN\b|getaddrinfo ENOTFOUND|getaddrinfo failed|\bUnknownHostException\b"
    r"|npm error (?:code|errno) ENOTFOUND|nodename nor servname|\bbad address '|dial tcp: lookup .{1,253}: "
    r"|failed to resolve '[\w.-]{1,253}' \(|can't resolve '[\w.-]{1,253}' \(?|unknown host\b",
    _I,
)
"""A host's name that is not known."""

UNREACHABLE = re.compile(
    r"network is unreachable|\bENETUNREACH\b|no route to host|\bEHOSTUNREACH\b"
    r"|no decode delegate for this image format `(?:HTTPS?|FTP)'",
    _I,
)
"""No way out. The last is what ImageMagick says of a URL."""

SOCKET = re.compile(
    r"connection to server on socket \".{1,200}\" failed: No such file"
    r"|connect to local (?:MySQL|MariaDB) server through socket '.{1,200}' \(2\b",
    _I,
)
"""A client that was told no server and looks for one beside it."""

NO_SPACE = re.compile(r"no space left|\bENOSPC\b", _I)

SHARED_MEMORY = re.compile(
    r"(?:shared memory|/dev/shm|\bshm\b).{0,200}(?:no space left|too small|insufficient|\bENOSPC\b)"
    r"|(?:no space left on device|\bENOSPC\b|bus error|insufficient).{0,200}(?:shared memory|/dev/shm|\bshm\b)",
    _I,
)

MISSING = re.compile(
    r"no such file|\bENOENT\b|does not exist|doesn't exist|not found|cannot find|not allowed by the security policy `"
    r"|(?:cannot|can't|could not|couldn't|unable to|failed to) (?:open|read|find|access|stat|load|create|write)",
    _I,
)
"""A file that is not there."""

DENIED = re.compile(r"permission denied|\bEACCES\b|operation not permitted|\bEPERM\b|keine berechtigung", _I)

CARRIAGE_RETURN = re.compile(
    rb"\r'?: (?:not found|command not found|No such file)|\\r'?['\xe2][^\n]{0,20}(?:No such file|command not found)"
    rb"|\^M: bad interpreter|\r: bad interpreter|[Ii]llegal option -\r|\$'\\r': command not found"
    rb"|set: -\r: invalid option"
)
"""Shells and `env`, whose words hold a carriage return, of a script from Windows."""

NOT_STARTED = re.compile(
    r"(?:^|[\s'\"‘:])((?:\./|/)?[\w.+/-]{1,200})['\"’]?: "
    r"(?:not found|No such file or directory|cannot execute: required file not found|bad interpreter|Exec format error)"
    r"|(?:Exec format error|cannot execute binary file)[:,]? ['\"](?P<late>[\w.+/-]{1,200})['\"]"
)
"""A program that a shell, or a program, could not start; its name."""

NAMES = re.compile(r"[^\s'\"‘’`:,;()<>\[\]{}=|]{1,300}")
"""What may be a file's name in a line."""
