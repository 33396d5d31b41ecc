"""The flush: from sealed batches in the cache to rows in the database, exactly once."""
