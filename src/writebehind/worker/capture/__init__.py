"""Capturing: what plain commands of any program did to its own keys is carried into the mapping's open batch."""
