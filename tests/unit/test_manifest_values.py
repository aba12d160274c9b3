"""What the values of a manifest may look like, key by key."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skill_magic.manifest import values
from skill_magic.manifest.keys import DOCKER


def fault(key: str, text: str) -> values.Fault | None:
    return DOCKER[key].check(text)


@pytest.mark.parametrize(
    "image",
    [
        "debian",
        "debian:12",
        "python:3.12-slim",
        "linuxserver/ffmpeg:latest",
        "ghcr.io/astral-sh/uv:0.5.1",
        "docker.io/library/debian",
        "localhost:6379/x",
        "evil.example.com:5000/x:1",
        "[::1]:5000/x",
        "Ghcr.IO/x",
        "Registry:5000/x",
        "d32ac776f69a",
        "a__b/c.d-e--f:V1_2",
        "debian@sha256:" + "a" * 64,
        "debian:12@sha512:" + "0" * 128,
        "a/b/c/d/e",
        "x:" + "t" * 128,
    ],
)
def test_image_references(image: str) -> None:
    assert fault("image", image) is None


@pytest.mark.parametrize(
    "image",
    [
        "",
        " ",
        " debian",
        "debian ",
        "debian\n",
        "debian\0",
        "--privileged",
        "-x",
        "../x",
        "./x",
        "/x",
        "x/",
        "x//y",
        "a:b:c",
        "x:",
        "x@",
        "x:-tag",
        "x:" + "t" * 129,
        "Debian",
        "x/Debian",
        "Debian/x",
        "Localhost/x",
        "a___b",
        "a..b",
        "-a/b",
        "debian@sha256:abc",
        "debian@sha256:" + "a" * 63,
        "debian@sha256:" + "a" * 65,
        "debian@sha256:" + "A" * 64,
        "debian@md5:" + "a" * 64,
        "debian@sha256:" + "a" * 64 + "@x",
        "${IMAGE}",
        "${AWS_SECRET_ACCESS_KEY}.evil.io/x",
        "$IMAGE",
        "débian",
        "debian:１",
        "a" * 256,
        "a-" * 100_000,
        "user:pw@host/x",
        "https://docker.io/x",
    ],
)
def test_images_that_are_none(image: str) -> None:
    found = fault("image", image)
    assert found is not None
    assert found.code == "image-invalid"
    assert "[REGISTRY/]NAME[:TAG]" in found.fix or "whole digest" in found.fix


# fmt: off
MEANINGLESS = {
    "memory": [
        "", "0", "00", "0g", "-1", "1e9", "1.5g", "2 g", " 2g", "2g ", "2gb", "2GiB", "+2g", "0x10",
        "２g", "2\u212a", "5m", "1b", "6291455", "9999999999999g", "262145g", "1" * 5000, "unlimited",
        "2g\n", "${M}",
    ],
    "cpus": [
        "", "0", "0.0", "0.001", "-1", "nan", "inf", "1e2", "1/2", " 2", "2 ", "2.", ".", "1,5", "２",
        "0x2", "100001", "1" * 5000, "0.0100000001", "1_0",
    ],
    "network": [
        "", " ", "Host", "HOST", "hOsT", " host", "host ", "none ", "None", "Bridge", "host\0", "host\n",
        "pasta", "slirp4netns", "slirp4netns:port_handler=x", "default", "nat", "private", "bridge:x",
        "host:x", "none,bridge", "name=host", "Container:db", "NS:x", "ｈｏｓｔ", "-x", "a b", "a/b", "hоst",
        "none\t", "container:a\n",
    ],
    "user": [
        "", " ", "0x0", "1000:1000:0", " 0", "0 ", "a\nb", "a b", "-1", "+0", "1000:", ":", "0x0:0",
        "1e3", "０", "1000: 0", "a/b", "2147483648", "9" * 30, "1a",
    ],
    "gpus": [
        "", "0", "-1", "00", "All", "all,options=x", "../../dev/mem", "none", "1.5", "device=",
        "device=all", "device=0,", "0,", ",0", "count=2", "GPU-", "99999", "0 1", "0,1\n", '"device=0"',
    ],
    "platform": [
        "", "linux", "amd64", "linux/", "linux/amd64 --privileged", "windows/amd64", "Linux/AMD64",
        "linux/amd64/", "linux/amd64/v8/x", "darwin/arm64", "linux/amd64\n", " linux/amd64",
        "linux\\amd64", "linux/bogus", "linux/amd64/v9", "linux/arm/v9", "linux/arm64/v7",
    ],
}
# fmt: on


@pytest.mark.parametrize(
    ("key", "text"), [(key, text) for key, texts in MEANINGLESS.items() for text in texts]
)
def test_values_without_a_meaning(key: str, text: str) -> None:
    found = fault(key, text)
    assert found is not None
    assert found.code == f"{key}-invalid"
    assert found.reason.endswith(".")
    assert found.fix.endswith(".")


# --- properties -------------------------------------------------------------------------------------------

FAULTS = [
    values.image_fault,
    values.memory_fault,
    values.cpus_fault,
    values.network_fault,
    values.user_fault,
    values.gpus_fault,
    values.platform_fault,
    values.working_dir_fault,
    values.entrypoint_fault,
    values.volume_fault,
]


@settings(deadline=None)
@given(st.text(max_size=20), st.sampled_from("\0\n\r\t\x1b\x7f"), st.text(max_size=20))
def test_no_value_of_one_line_takes_a_control_character(before: str, control: str, after: str) -> None:
    for fault in FAULTS:
        assert fault(before + control + after) is not None, fault
    assert values.environment_fault(f"A{control}={before}{after}") is not None
    assert values.environment_fault(f"A={before}\0{after}") is not None


@settings(deadline=None)
@given(
    st.sampled_from(["debian:12", "2g", "0.5", "none", "bridge", "host", "1000:1000", "all", "linux/amd64"])
)
def test_no_value_is_trimmed(text: str) -> None:
    accepting = [fault for fault in FAULTS[:7] if fault(text) is None]
    assert accepting
    for fault in accepting:
        for changed in (f" {text}", f"{text} ", f"{text}\u00a0", f"\ufeff{text}", f"{text}\u200b"):
            assert fault(changed) is not None, (fault, changed)


@settings(deadline=None)
@given(st.integers(6 << 20, 1 << 48), st.sampled_from(["", "b", "B"]))
def test_sizes_are_read_back(size: int, unit: str) -> None:
    assert values.memory_fault(f"{size}{unit}") is None
    assert values.memory_bytes(f"{size}{unit}") == size


@settings(deadline=None)
@given(st.floats(0.01, 1000))
def test_numbers_of_cpus_are_a_meaning_or_too_precise(number: float) -> None:
    text = f"{math.floor(number * 1e6) / 1e6:.9f}"
    assert values.cpus_fault(text) is None


def test_units() -> None:
    assert [values.memory_bytes(text) for text in ("512m", "2g", "7000K", "1G")] == [
        512 << 20,
        2 << 30,
        7000 << 10,
        1 << 30,
    ]
    with pytest.raises(ValueError, match=r"1\.5g"):
        values.memory_bytes("1.5g")
