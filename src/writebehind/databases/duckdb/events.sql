-- Event logs. {names in braces} are filled with quoted identifiers, types and values; `given` is an Arrow table of
-- texts.

-- name: append
-- DuckDB keeps the order of the rows that it is given (preserve_insertion_order).
INSERT INTO {table} ({columns}) SELECT {values} FROM given;

-- name: append_defaults
-- For events without any column.
INSERT INTO {table} DEFAULT VALUES;

-- name: create_table
CREATE TABLE IF NOT EXISTS {table} ({definitions});

-- name: value
-- What one text becomes. A text that the cast refuses is refused; the others below have casts that would change
-- some texts rather than refuse them.
CAST({text} AS {type})

-- name: value_of_pattern
-- Casts to integers and decimals round.
CASE
    WHEN NOT regexp_full_match({text}, '{pattern}') THEN error(concat('not exactly a value of {type}: ', {text}))
    ELSE CAST({text} AS {type})
END

-- name: value_of_float
-- A number beyond the type's range becomes infinity.
CASE
    WHEN isinf(CAST({text} AS {type})) AND NOT contains(lower({text}), 'inf')
    THEN error(concat('beyond the range of {type}: ', {text}))
    ELSE CAST({text} AS {type})
END

-- name: value_of_bytes
-- Texts are \x and hexadecimal digits, two a byte.
CASE
    WHEN NOT regexp_full_match({text}, '\\x([0-9a-fA-F][0-9a-fA-F])*') THEN error(concat('not hexadecimal: ', {text}))
    ELSE unhex(substr({text}, 3))
END
