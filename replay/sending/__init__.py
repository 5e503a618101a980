"""From a due time to a socket: the engine, its wires, what answers say."""
