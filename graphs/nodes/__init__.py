"""One step of the method per file: file name, function name and node name are the same."""
