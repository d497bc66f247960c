"""The commands of `minigan`: each module has `add_arguments(parser)` and `main(args) -> exit status`."""
