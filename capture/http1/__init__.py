"""HTTP/1 framing: bytes of one connection in, exchanges out. Sans-IO."""
