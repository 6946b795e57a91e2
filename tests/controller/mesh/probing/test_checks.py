"""Checks as people write them, and what is told of them."""

from __future__ import annotations

import pytest

from netmesh_controller.mesh.probing.checks import Check, CheckBook, Result, Summary, parse_check, parse_checks


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("db=tcp://10.0.0.7:5432", Check("db", "tcp-connect", "10.0.0.7", 5432)),
        ("web=tcp://example.com:443", Check("web", "tcp-connect", "example.com", 443)),
        ("six=tcp://[fd00::1]:80", Check("six", "tcp-connect", "fd00::1", 80)),
        ("dns=dns://a.b.c", Check("dns", "dns", question="a.b.c")),
        ("dns=dns://10.0.0.1:5353/a.b", Check("dns", "dns", "10.0.0.1", 5353, "a.b")),
        ("api=api-server", Check("api", "api-server")),
    ],
)
def test_checks_as_people_write_them(text: str, check: Check) -> None:
    assert parse_check(text) == check


@pytest.mark.parametrize(
    "text", ["", "db", "=tcp://a:1", "db=tcp://a", "db=tcp://a:70000", "db=http://a:1", "d b=tcp://a:1", "x=dns://"]
)
def test_a_wrong_check_is_told_by_its_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not NAME=|has no port"):
        parse_check(text)


def test_names_are_given_once() -> None:
    with pytest.raises(ValueError, match="'a'"):
        parse_checks(["a=api-server", "a=tcp://b:1"])
    with pytest.raises(ValueError, match="32 at most"):
        parse_checks([f"a{number}=api-server" for number in range(33)])


def test_a_window_is_told_of_its_parts() -> None:
    book = CheckBook()
    for result in (
        Result(0, 3, 3, code="timeout", message="late"),
        Result(10, 3, 1, 0.002, 0.004, "refused", "no"),
        Result(20, 3, 0, 0.004, 0.005),
        Result(30, 0, 0),
    ):
        book.add("a", "db", result)
    assert list(book.over(10)) == [Summary("a", "db", 6, 1, 0.003, 0.005, "refused", "no")]
    assert next(book.over(0)).failed == 4
    assert list(book.over(20)) == [Summary("a", "db", 3, 0, 0.004, 0.005, None, None)]
    assert list(book.over(30)) == []
    book.keep(["b"])
    assert list(book.over(0)) == []
