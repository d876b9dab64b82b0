"""Scripts that tests of the file store run as processes of their own, and what they share."""
