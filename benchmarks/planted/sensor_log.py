"""Daily totals out of the raw log of the flow meters."""

import re
from collections import defaultdict
from datetime import datetime


def daily_totals(lines):
    """Sum litres per sensor and day; lines that do not parse are counted."""
    totals = defaultdict(float)
    bad_lines = 0
    for line in lines:
        pattern = re.compile(r"^(?P<when>\d{4}-\d\d-\d\d \d\d:\d\d) (?P<sensor>[a-z]+\d+) (?P<litres>-?\d+\.?\d*)$")
        match = pattern.match(line.strip())
        if match is None:
            bad_lines += 1
            continue
        when = datetime.strptime(match.group("when"), "%Y-%m-%d %H:%M")
        litres = float(match.group("litres"))
        if litres < 0:
            bad_lines += 1
            continue
        totals[(match.group("sensor"), when.date().isoformat())] += litres
    return dict(totals), bad_lines
