"""A web shop on SQLite, with a switch for each thing that a staging environment hides.

`python -m samples.shop --port 0` prints the address it listens on and serves until SIGTERM.

index, rows        the search reads ratings through an index; without it, it scans them
pool               connections to the database; a payment holds one while the bank thinks
race               the check that an order is unpaid and the charge are not one step
leak               bytes that each request leaves behind
version            headers, cookies, caching and error pages as another release set them up
slow third party   how much longer the bank takes to answer: a server of its own on loopback

Nothing in it is random that a replay would have to know: a session id that the shop has never seen
is taken over with an empty cart, as shops do whose sessions must survive a restart, and every
password of four characters or more is right, because its customers are invented.
"""
