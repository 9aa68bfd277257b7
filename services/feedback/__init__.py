"""The feedback agent: `mail.feedback` becomes rows of the ledger, and these become shards."""
