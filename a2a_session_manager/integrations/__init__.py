"""The places of use: one module or package for each framework, imported by its user and by nothing else here."""
