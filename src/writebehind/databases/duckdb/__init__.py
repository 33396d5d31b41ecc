"""DuckDB, a warehouse in one file, for event logs."""
