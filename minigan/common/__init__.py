"""Shared by several packages: checks of models and arguments, users' own files, reading of untrusted files, wording."""
