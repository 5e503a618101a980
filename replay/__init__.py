"""Replay: a tape and options make a plan, the engine carries it out, what happened is a run.

The words of this package. A **plan** is arrays of due times and exchange numbers, made chunk by
chunk. A **lane** is one recorded connection of one clone to one target; a **wire** is the live TCP
connection that serves it. A **spare** is an extra wire, taken where a lane is still busy. A
**batch** is a chunk of the plan with its bytes, ready to be sent, and what became of them.
A **run** is a tape whose run columns are filled.
"""
