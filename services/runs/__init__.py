"""What the topics tell of shards and training runs: read by whoever asks for a run, and by whoever carries it out."""
