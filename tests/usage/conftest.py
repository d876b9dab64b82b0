"""Everything here works offline."""

from tests.offline import no_network

__all__ = ["no_network"]
