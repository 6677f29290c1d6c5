"""L4: contract tests that ship with the package."""
