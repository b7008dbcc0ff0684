"""Makes support tickets: seeded text, whose words change as products come and go."""

from __future__ import annotations

import numpy as np

TEAMS = {
    "billing": "invoice refund charge payment card price receipt tax subscription",
    "access": "password login locked account token code phone expired reset",
    "delivery": "parcel courier late address track missing box depot driver",
    "technical": "crash error screen update slow install version freeze driver",
}
COMMON = "please help my the order since yesterday again cannot still need thanks today"
PRODUCTS = ("aurora", "basalt", "cobalt", "delta", "ember", "fjord")
TICKETS_PER_PRODUCT = 500
"""After so many tickets the next product is on sale, and its owners write to another team."""


def make_tickets(count: int, *, seed: int = 0) -> list[tuple[str, str]]:
    """Make tickets in the order of their arrival.

    Half of them name the team's own words; the other half only the product, which decides who
    answers, until the next product comes.

    Returns
    -------
    list of (text, team)

    Examples
    --------
    >>> make_tickets(1, seed=1) == make_tickets(2, seed=1)[:1]
    True
    """
    rng = np.random.default_rng(seed)
    names = list(TEAMS)
    tickets = []
    for number in range(count):
        era = number // TICKETS_PER_PRODUCT
        product = int(rng.integers(len(PRODUCTS)))
        team = names[(product + era) % len(names)]
        words = [PRODUCTS[product], *rng.choice(COMMON.split(), size=6)]
        if rng.random() < 0.5:
            team = names[int(rng.integers(len(names)))]
            words += [*rng.choice(TEAMS[team].split(), size=3)]
        rng.shuffle(words)
        tickets.append((" ".join(str(word) for word in words), team))
    return tickets
