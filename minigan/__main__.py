"""`python -m minigan` is the command `minigan`."""

import sys

if __name__ == "__main__":
    try:
        from minigan.commands.cli import main

        sys.exit(main())
    except KeyboardInterrupt:  # before or after `main` can catch it
        print("minigan: interrupted", file=sys.stderr)
        sys.exit(130)
