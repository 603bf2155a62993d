"""``python -m emulator``."""

from emulator.messages import types_only

types_only()

from emulator.cli import main  # noqa: E402 - it imports Google's packages

if __name__ == "__main__":
    main()
