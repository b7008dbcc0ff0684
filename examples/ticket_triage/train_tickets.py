"""Trains a text classifier, and predicts with it: a command that knows nothing of menace.

menace starts it with the folder to work in and the step to do in its environment; see the table in
docs/pipelines.md. The model is plain JSON: weights of hashed words. Only the training needs
scikit-learn, so that a prediction starts in a fraction of a second.
"""

from __future__ import annotations

import csv
import json
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

WORDS = 1024
"""Columns that words are hashed into."""

STRENGTHS = (1.0, 10.0, 0.1)


def hashed(texts: list[str]) -> FloatArray:
    """Count words, each in the column that its checksum names, at unit length per text."""
    counts = np.zeros((len(texts), WORDS))
    for row, text in enumerate(texts):
        for word in text.lower().split():
            counts[row, zlib.crc32(word.encode()) % WORDS] += 1.0
    return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-12)


def chances(model: dict[str, Any], texts: list[str]) -> FloatArray:
    """Probability of each class, shape (texts, classes)."""
    scores = hashed(texts) @ np.array(model["weights"]).T + np.array(model["intercepts"])
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def fitted(texts: list[str], teams: list[str], strength: float, seed: int) -> dict[str, Any]:
    """Fit a multinomial logistic regression."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=200, random_state=seed)
    model.fit(hashed(texts), teams)
    return {
        "classes": [str(team) for team in model.classes_],
        # Rounded: the last digits of a fit say nothing, and differ from machine to machine.
        "weights": np.round(model.coef_, 5).tolist(),
        "intercepts": np.round(model.intercept_, 5).tolist(),
        "strength": strength,
    }


def errors(model: dict[str, Any], texts: list[str], teams: list[str]) -> float:
    """Share of texts that go to the wrong team."""
    guessed = np.array(model["classes"])[chances(model, texts).argmax(axis=1)]
    return float(np.mean(guessed != np.array(teams)))


def train(folder: Path, texts: list[str], teams: list[str]) -> None:
    """Fit, with energy above 1 in the strength that does best on the newest fifth."""
    energy, seed = int(os.environ["MENACE_ENERGY"]), int(os.environ["MENACE_SEED"])
    first = len(texts) - len(texts) // 5
    tried = {
        strength: errors(
            fitted(texts[:first], teams[:first], strength, seed), texts[first:], teams[first:]
        )
        for strength in STRENGTHS[: 1 if energy == 1 else None]
    }
    best = min(tried, key=lambda strength: tried[strength])
    model = fitted(texts, teams, best, seed)
    (folder / "artifact" / "model.json").write_text(json.dumps(model), encoding="utf-8")
    figures = {"strength": best, "validation_error": tried[best], "texts": len(texts)}
    (folder / "metrics.json").write_text(json.dumps(figures), encoding="utf-8")


def predict(folder: Path, texts: list[str]) -> None:
    """Write a column of probabilities for each class."""
    model = json.loads((folder / "artifact" / "model.json").read_text(encoding="utf-8"))
    with (folder / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(model["classes"])
        table.writerows(chances(model, texts).round(6).tolist())


def main() -> None:
    """Do the step that the environment names."""
    folder = Path(os.environ["MENACE_FOLDER"])
    with (folder / "rows.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    texts = [row["text"] for row in rows]
    if os.environ["MENACE_STEP"] == "train":
        train(folder, texts, [row["team"] for row in rows])
    else:
        predict(folder, texts)


if __name__ == "__main__":
    main()
