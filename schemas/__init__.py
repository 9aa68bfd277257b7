"""The contracts of mailweir: events, errors, taxonomies, topics and manifests. Pydantic, orjson and nothing else."""
