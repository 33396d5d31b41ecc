"""The application's door: ``WriteBehind`` and ``AsyncWriteBehind``, wired from all the rooms below."""
