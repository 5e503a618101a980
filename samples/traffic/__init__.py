"""Traffic as production has it: sessions that arrive in bursts, and clients that are not polite.

`python -m samples.traffic --url http://127.0.0.1:8080 --for 20s --rate 20 --seed 7`

Sessions arrive as a Poisson stream whose rate jumps between two states (calm, flash), each lasting
an exponential time: a Markov-modulated Poisson process. A session is a user with think times on one
keep-alive connection, or one of the odd clients: slow, broken, pipelining, impatient.
Arrivals are drawn before the first byte is sent, so a seed means a workload; and they do not wait
for answers: the load is open.
"""
