"""Recording: packets become segments, segments become exchanges, sanitized exchanges become a tape.

The words of this package:

segment     some bytes of one direction of one connection, with the time they were seen (ns)
connection  one TCP connection: who opened it when, and when and how it was closed
exchange    one request on a connection and the response that answered it
ledger      what became of everything that was seen
tape        a file of exchanges and connections, in time order
"""
