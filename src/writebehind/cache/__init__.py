"""The only room that talks to Valkey or Redis."""
