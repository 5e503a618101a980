"""A soak: lap after lap for days, the target watched meanwhile, and told only what is new.

Four words: a *segment* is a run of some minutes, one file of many; a *metric* is what the target
uses (memory, descriptors), sampled from outside; a *finding* is told once, when it is new; a
*checkpoint* is all that a restart needs.
"""
