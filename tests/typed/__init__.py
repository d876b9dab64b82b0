"""What users write, for type checkers alone: .ci/check reads it with mypy, .ci/types with pyright; it is never run."""
