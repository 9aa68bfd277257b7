"""The retrain trigger: closed shards → a run that is asked for, or the reason why not."""
