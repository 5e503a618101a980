"""Frames of any capture file or link, and the packets inside them."""
