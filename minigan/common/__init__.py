"""What several parts of the workshop share: checks of models and arguments, users' own files, safe reading, words."""
