"""What a run means: compared, judged, gated, reported."""
