"""From lines to what is to be counted: the parsers of ``writebehind ingest``.

Nothing here knows a cache or a database. ``lines`` splits a byte stream into numbered lines,
``combined``, ``csv_lines`` and ``ndjson`` make records of them, and ``options`` says which fields of a
record are a counter's key and amount. Whatever cannot be counted is a ``BadLine`` with its number and
a reason, never an exception: one bad line must not cost the million good ones after it.
"""

from writebehind.ingest.combined import COMBINED_FIELDS, combined_records
from writebehind.ingest.csv_lines import csv_records
from writebehind.ingest.lines import MAX_LINE_SIZE_BYTES, Line, read_lines
from writebehind.ingest.ndjson import ndjson_records
from writebehind.ingest.options import Counted, CounterOption, Uncountable
from writebehind.ingest.records import BadLine, EmptyLine, Parsed, Record, printable

__all__ = [
    "COMBINED_FIELDS",
    "MAX_LINE_SIZE_BYTES",
    "BadLine",
    "Counted",
    "CounterOption",
    "EmptyLine",
    "Line",
    "Parsed",
    "Record",
    "Uncountable",
    "combined_records",
    "csv_records",
    "ndjson_records",
    "printable",
    "read_lines",
]
