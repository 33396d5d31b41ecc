-- What the catalogs say of a table.

-- name: find_table
SELECT 'table'
FROM duckdb_tables() AS t
WHERE t.database_name = current_database() AND t.schema_name = $schema AND t.table_name = $table
UNION ALL
SELECT 'view'
FROM duckdb_views() AS v
WHERE v.database_name = current_database() AND v.schema_name = $schema AND v.view_name = $table;

-- name: columns
SELECT c.column_name, c.data_type, NOT c.is_nullable, c.column_default
FROM duckdb_columns() AS c
WHERE c.database_name = current_database() AND c.schema_name = $schema AND c.table_name = $table
ORDER BY c.column_index;

-- name: unique_sets
SELECT c.constraint_type = 'PRIMARY KEY', c.constraint_column_names
FROM duckdb_constraints() AS c
WHERE c.database_name = current_database() AND c.schema_name = $schema AND c.table_name = $table
    AND c.constraint_type IN ('PRIMARY KEY', 'UNIQUE');

-- name: write_one_column
-- Only planned: a generated column is refused, others are not.
EXPLAIN INSERT INTO {table} ({column}) SELECT NULL;
