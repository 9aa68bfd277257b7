"""A tenant's rules: data that decides mail before any model does.

    [[rule]]
    name = "special prices"                 # named in the reasons of every head that it sets
    when.mailbox = ["sales", "pricing"]     # any of these …
    when.pattern = 'CAS-[0-9]{6}-[A-Z0-9]{6}'  # … and this, in subject or body
    set.intent = "pricing_agreement"        # probability 1, never abstained; other heads are the model's
    set.next_actions = ["apply_spa"]

Conditions are `sender`, `subject`, `mailbox`, `entity` and `pattern`. Of several rules that hold and name a head, the first
sets it. Where rules set every head, no model runs and the tier is `rules`. What the rules say is part of a decision's id. The
sender is what the mail says of itself: a rule that trusts it trusts whoever wrote it.
"""

from mailweir.services.classify.rules.apply import covers, ruled, ruled_alone
from mailweir.services.classify.rules.book import Rulebook, Setting
from mailweir.services.classify.rules.reading import check_rules, parse_rules, read_rules

__all__ = ["Rulebook", "Setting", "check_rules", "covers", "parse_rules", "read_rules", "ruled", "ruled_alone"]
