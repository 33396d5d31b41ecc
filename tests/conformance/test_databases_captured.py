"""The ledger's memory of what captured keys were worth."""

from __future__ import annotations

from typing import Any


def test_worths_are_kept_replaced_and_forgotten(bench: Any, database: Any) -> None:
    [row, other] = bench.declared(0, 1)
    with database.transaction() as transaction:
        assert transaction.read_captured(row, ["a"]) == {}
        transaction.write_captured(row, {"a": 5, "b": -(2**63), "ü'%s": 2**63 - 1, "none": 0})
    with database.transaction() as transaction:
        assert transaction.read_captured(row, ["a", "ü'%s", "none", "x"]) == {"a": 5, "ü'%s": 2**63 - 1}
        assert transaction.read_captured(other, ["a"]) == {}
        transaction.write_captured(row, {"a": 7, "b": 0})
    with database.transaction() as transaction:
        assert transaction.read_captured(row, ["a", "b"]) == {"a": 7}


def test_worths_are_read_in_slices(bench: Any, database: Any) -> None:
    [row, other] = bench.declared(0, 1)
    known = {f"video:{number}": number for number in range(1, 25)}
    with database.transaction() as transaction:
        transaction.write_captured(row, known)
        transaction.write_captured(other, {"another partition's": 1})
    found: dict[str, int] = {}
    after = ""
    with database.transaction() as transaction:
        while part := transaction.scan_captured(row, after, 10):
            assert len(part) <= 10
            found |= part
            after = list(part)[-1]
    assert found == known
