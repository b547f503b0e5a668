"""`stage.Tables` in memory, for the tests of stages."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Any

from motionkit.errors import UsageError
from motionkit.row_index import roots_of


class FakeLookup:
    """Rows by a column; the first of several counts."""

    def __init__(self, rows: Iterable[dict[str, Any]], key: str) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        for row in rows:
            self.rows.setdefault(row[key], row)

    def get(self, value: str) -> dict[str, Any] | None:
        return self.rows.get(value)


class FakeTables:
    """Tables are lists of rows; a column that a row lacks is null, ``outcome`` "kept".

    ``asked`` lists the tables that were read.
    """

    def __init__(self, **tables: list[dict[str, Any]]) -> None:
        self.tables = tables
        self.asked: list[str] = []

    def rows(
        self,
        table: str,
        columns: Iterable[str],
        *,
        outcome: str | None = "kept",
        only: tuple[str, Container[str]] | None = None,
    ) -> Iterator[dict[str, Any]]:
        self.asked.append(table)
        names = ["item_id", *columns]
        for row in self.tables[table]:
            if outcome not in (None, row.get("outcome", "kept")):
                continue
            if only is None or row[only[0]] in only[1]:
                full = {"outcome": "kept", **row}
                yield {name: full.get(name) for name in roots_of(names)}

    def elements(self, table: str, column: str, fields: Iterable[str]) -> Iterator[tuple[Any, ...]]:
        for row in self.rows(table, [column]):
            for element in row[column]:
                yield tuple(element[field] for field in fields)

    def lookup(self, table: str, key: str, columns: Iterable[str]) -> FakeLookup:
        return FakeLookup(self.rows(table, [key, *columns]), key)

    def fingerprint(self, table: str) -> str:
        if table not in self.tables:
            raise UsageError(f"no {table}")
        return f"fingerprint of {table}"
