"""The worker: when to flush, who flushes, what happens when it fails, and how it ends."""
