"""Writes metrics.json: figures that the trainer's own must equal, computed by scikit-learn and mir_eval.

    python -m venv v && v/bin/pip install scikit-learn==1.9.1 mir_eval==0.8.2
    v/bin/python trainer/tests/golden/make.py
"""

import json
import pathlib

import mir_eval
import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax
from sklearn import metrics

RNG = np.random.default_rng(20)
# Scores on a grid, so that many are equal and ties are tested.
GRID = 20


def rounded(numbers):
    return [round(float(n), 12) for n in np.ravel(numbers)]


def several_classes():
    truth = RNG.random((60, 5)) < [0.5, 0.3, 0.2, 0.1, 0.05]
    truth[0] = True
    scores = np.clip(0.35 * truth + 0.7 * RNG.random(truth.shape) ** 1.5, 0, 1)
    scores = np.round(scores * GRID) / GRID
    at = {}
    for threshold in (0.2, 0.3, 0.5):
        heard = scores >= threshold
        one = {"hamming_loss": metrics.hamming_loss(truth, heard), "exact_match": metrics.accuracy_score(truth, heard)}
        for average in ("micro", "macro", None):
            values = metrics.precision_recall_fscore_support(truth, heard, average=average, zero_division=0)
            for name, value in zip(("precision", "recall", "f1"), values):
                one[f"{average or 'class'}_{name}"] = rounded(value) if average is None else float(value)
        at[str(threshold)] = one
    return {
        "truth": truth.astype(int).tolist(),
        "scores": scores.tolist(),
        "average_precision": rounded(metrics.average_precision_score(truth, scores, average=None)),
        "roc_auc": rounded(metrics.roc_auc_score(truth, scores, average=None)),
        "brier": float(np.mean((scores - truth) ** 2)),
        "at": at,
    }


def one_class():
    truth = RNG.integers(0, 4, 80)
    logits = np.round(RNG.normal(0, 2, (80, 4)) + 2.5 * np.eye(4)[truth], 3)
    probabilities = np.exp(log_softmax(logits, axis=1))
    answers = probabilities.argmax(axis=1)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(truth, answers, average="macro")

    def surprise(t):
        return metrics.log_loss(truth, np.exp(log_softmax(logits / t, axis=1)))

    best = minimize_scalar(surprise, bounds=(0.1, 10), method="bounded", options={"xatol": 1e-9})
    return {
        "truth": truth.tolist(),
        "logits": logits.tolist(),
        "accuracy": metrics.accuracy_score(truth, answers),
        "macro_precision": precision,
        "macro_recall": recall,
        "macro_f1": f1,
        "log_loss": surprise(1.0),
        "brier": float(np.mean(np.sum((probabilities - np.eye(4)[truth]) ** 2, axis=1))),
        "temperature": float(best.x),
    }


def sigmoids():
    truth = RNG.random((80, 3)) < 0.4
    logits = np.round(RNG.normal(0, 3, truth.shape) + 3.0 * (truth - 0.5), 3)

    def surprise(t):
        p = expit(logits / t)
        return np.mean([metrics.log_loss(truth[:, c], p[:, c]) for c in range(3)])

    best = minimize_scalar(surprise, bounds=(0.1, 10), method="bounded", options={"xatol": 1e-9})
    return {"truth": truth.astype(int).tolist(), "logits": logits.tolist(), "log_loss": surprise(1.0), "temperature": float(best.x)}


def onsets():
    truth = np.round(np.sort(RNG.random(40) * 8), 3)
    told = np.round(np.sort(np.concatenate([truth[::2] + RNG.normal(0, 0.04, 20), RNG.random(20) * 8])), 3)
    told = told[told >= 0]
    pairs = {str(w): len(mir_eval.util.match_events(truth, told, w)) for w in (0.02, 0.05, 0.2)}
    return {"truth": truth.tolist(), "told": told.tolist(), "pairs": pairs}


if __name__ == "__main__":
    golden = {"several": several_classes(), "one": one_class(), "sigmoids": sigmoids(), "onsets": onsets()}
    path = pathlib.Path(__file__).with_name("metrics.json")
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
