"""Looking at a replay while it runs: glances at what was sent and answered, and who gets them.

A glance is what happened since the one before: requests that fell due, were sent, were answered or
failed. It is read from the memory that feeder and sender share, so the sender does nothing for it.
"""
