"""What a feeder and its sender hand each other: batches in shared memory, and short messages."""
