"""What was spent: from the provider's objects to the numbers that are summed."""
