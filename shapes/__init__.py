"""Shapes: what a stream of requests is like, how alike two streams are, and more of the same.

- **shape**: the statistics of a tape: arrivals over all timescales, sizes, mix, sessions,
  concurrency. It holds no payload.
- **IDC(τ)**: variance of the counts in bins of width τ over their mean; a Poisson stream is 1.
- **fidelity**: how close a run came to its plan, with a verdict and whom to blame.
- **scale**: more users, each as recorded; **speed**: the same users on a faster clock;
  **spike**: more users for a while.

Everything reads columns only. Accumulators `add`, `merge` and `render`; merging is associative.
"""
