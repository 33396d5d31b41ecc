"""``python -m writebehind``: the same as the command ``writebehind``."""

from writebehind.cli.main import main

if __name__ == "__main__":
    main(prog_name="writebehind")
