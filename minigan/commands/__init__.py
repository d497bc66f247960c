"""The commands of `minigan`. Each module defines `add_arguments(parser)` and `main(args) -> exit status`."""
