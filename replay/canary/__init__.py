"""A canary: users move from a baseline to a candidate step by step, as long as nothing is worse.

A **step** is a share of the users and a time. A **block** is a short while of a step: the unit of
evidence. A **subject** is what may get worse: failures, statuses, the time of an endpoint.
"""
