"""Makes `python -m numbergroup` the same as the command `numbergroup`."""

from numbergroup.cli import main

if __name__ == "__main__":
    main()
