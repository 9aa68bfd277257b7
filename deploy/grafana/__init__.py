"""Grafana's dashboards as code: what they show stands in `boards`, `python -m grafana` writes `services/dashboard/boards`.

It lives under deploy and not in the package, because a worker never needs it and a wheel shall not carry it.
"""
