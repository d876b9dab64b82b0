"""The formats that providers and frameworks write messages in, one module each, over one normal form."""
