"""The agent's command line: bad input is one sentence that names the option, exit code 2."""

from __future__ import annotations

import pytest

from netmesh_agent.cli import main


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("--certificates",)),
        (("--listen", "nowhere"), ("--listen", "'nowhere' is not ADDRESS:PORT", "10.0.0.7:9410")),
        (("--role", "guest"), ("--role", "'guest' is none of pod, peer, host")),
        (("--tool-ports", "9-5"), ("--tool-ports", "61863-61870")),
        (("--max-rate", "fast"), ("--max-rate", "'fast'")),
    ],
)
def test_a_wrong_option_is_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    words: tuple[str, ...],
) -> None:
    given = ("--certificates", "pki", *arguments) if arguments else ()
    monkeypatch.setattr("sys.argv", ["netmesh-agent", *given])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert said.out == ""
    assert said.err.count("\n") == 1
    for word in words:
        assert word in said.err
