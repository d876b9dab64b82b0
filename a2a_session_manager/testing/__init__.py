"""What users and implementers test with: the contract that every store passes."""
