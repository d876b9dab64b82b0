"""What a usage costs: list prices and the user's own."""
