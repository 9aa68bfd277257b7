"""Training runs as the topics tell them: what the trigger asks for, and what the trainer does and ends."""
