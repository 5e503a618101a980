"""What is to be sent when, and what that takes: plans, and more load than was recorded."""
