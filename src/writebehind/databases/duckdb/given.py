"""Rows for one statement of DuckDB's, as an Arrow table that SQL knows as ``given``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow

from writebehind.columns import Text
from writebehind.errors import RowRefused


@contextmanager
def given(
    connection: duckdb.DuckDBPyConnection, texts: Mapping[str, Sequence[Text]], numbers: Mapping[str, Sequence[int]]
) -> Iterator[None]:
    """A block in which ``given`` has these columns: of texts (None is NULL), and of whole numbers in 64 bits.

    :raises RowRefused: a text is not Unicode, or is none.
    """
    columns = [
        *(_array(values, pyarrow.large_string()) for values in texts.values()),
        *(_array(values, pyarrow.int64()) for values in numbers.values()),
    ]
    connection.register("given", pyarrow.Table.from_arrays(columns, names=[*texts, *numbers]))
    yield
    connection.unregister("given")  # not after an error, which spoils the transaction: the connection is closed then


def _array(values: Sequence[Any], kind: Any) -> Any:
    try:
        return pyarrow.array(values, kind)
    except UnicodeEncodeError as error:
        raise RowRefused("a text that is not Unicode was refused", why=str(error), sqlstate="22021") from error
    except (pyarrow.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise RowRefused("a value that is no text was refused", why=str(error), sqlstate="22000") from error
