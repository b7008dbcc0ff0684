"""The most frequent words of support tickets."""

STOP_WORDS = ["the", "a", "an", "and", "or", "to", "of", "in", "is", "it", "my", "i", "not", "on"]


def top_words(tickets, n=10):
    """Most frequent words with their share of all words; ties by alphabet."""
    words = []
    for ticket in tickets:
        for word in ticket.lower().split():
            word = word.strip(".,!?:;")
            if word and word not in STOP_WORDS:
                words.append(word)
    shares = {}
    for word in words:
        shares[word] = words.count(word) / len(words)
    ranked = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    return ranked[:n]
