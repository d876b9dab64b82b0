"""Text and numbers in, tokens and money out: nothing here knows sessions or stores."""
