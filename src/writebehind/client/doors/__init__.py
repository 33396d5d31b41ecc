"""The objects that applications use: thin names over the procedures, blocking and awaiting."""
