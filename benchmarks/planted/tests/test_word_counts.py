import pytest
from word_counts import top_words


def test_words_are_ranked_by_share_then_alphabet():
    found = top_words(["The printer is broken!", "Printer: broken, not on", "printer jam"], n=3)
    assert [word for word, _ in found] == ["printer", "broken", "jam"]
    assert [share for _, share in found] == pytest.approx([0.5, 1 / 3, 1 / 6])


def test_no_tickets():
    assert top_words([]) == []
