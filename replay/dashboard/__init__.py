"""The live page of a running replay or soak: one look tells whether it goes well.

`feed` is the running replay's side, `server` a process of its own, so that nothing that a browser
does can take time from what sends.
"""
