"""Work that goes on beside its caller: kept whole when the caller is cancelled, in slices, in threads."""
