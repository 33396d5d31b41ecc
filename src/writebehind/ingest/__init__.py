"""From lines to what is to be written: the parsers of ``writebehind ingest``.

Nothing here contacts a cache or a database. ``lines`` splits a byte stream into numbered lines, ``combined``,
``csv_lines`` and ``ndjson`` make records of them, ``number_options`` and ``row_options`` say which fields of a record
are a mapping's key, number or columns, and ``column_values`` makes values of them. Whatever cannot be written is a
``BadLine`` with its number and a reason, never an exception: one bad line must not cost the million good ones
after it.
"""

from typing import TypeAlias

from writebehind.ingest.column_values import column_value, score_value
from writebehind.ingest.combined import COMBINED_FIELDS, COMBINED_KINDS, combined_records
from writebehind.ingest.csv_lines import csv_records
from writebehind.ingest.lines import MAX_LINE_SIZE_BYTES, Line, read_lines
from writebehind.ingest.ndjson import ndjson_records
from writebehind.ingest.number_options import Counted, CounterOption, LeaderboardOption, Scored
from writebehind.ingest.records import BadLine, EmptyLine, Format, Parsed, Record, printable
from writebehind.ingest.row_options import EventsOption, RecordsOption, Row
from writebehind.ingest.syntax import FieldKinds, Source, Unusable

Option: TypeAlias = CounterOption | LeaderboardOption | RecordsOption | EventsOption

__all__ = [
    "COMBINED_FIELDS",
    "COMBINED_KINDS",
    "MAX_LINE_SIZE_BYTES",
    "BadLine",
    "Counted",
    "CounterOption",
    "EmptyLine",
    "EventsOption",
    "FieldKinds",
    "Format",
    "LeaderboardOption",
    "Line",
    "Option",
    "Parsed",
    "Record",
    "RecordsOption",
    "Row",
    "Scored",
    "Source",
    "Unusable",
    "column_value",
    "combined_records",
    "csv_records",
    "ndjson_records",
    "printable",
    "read_lines",
    "score_value",
]
