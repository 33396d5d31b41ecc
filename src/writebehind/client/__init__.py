"""Writing and reading: the group commit, the ring, the settling after a rollback, the exact read."""
