"""`python -m mailweir.services.cli`: the same as `mailweir`."""

from mailweir.services.cli.app import main

if __name__ == "__main__":
    main()
