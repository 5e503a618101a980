"""Capacity: the largest scale of a tape at which a target still does what it shall.

A **probe** is one run at one scale; it holds, breaks, or is invalid (our own fault, not blamed on
the target). The **objective** is what must hold, in the words of gates.
"""
