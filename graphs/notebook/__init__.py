"""saesage in a notebook or a script: `import saesage` gives the names of `interface`."""
