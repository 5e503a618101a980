"""Processes: feeders read ahead and write behind, senders do nothing but send."""
