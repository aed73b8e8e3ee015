"""scikit-learn on a hub, twice: cross-validation and grid search, exactly as without. One line for each comparison."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import dhub.parallel  # noqa: F401
import numpy as np
from joblib import parallel_config
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, ShuffleSplit, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

X, Y = make_classification(400, 12, random_state=0)


def scores(estimator: Any) -> Any:
    """With a state that goes on from call to call, if the estimator has one: each fold gets that of the start."""
    split = ShuffleSplit(8, random_state=np.random.RandomState(1))
    return cross_val_score(estimator, X, Y, cv=split, n_jobs=-1)


def search(found: Any) -> Any:
    found.fit(X, Y)
    results = {name: np.asarray(it) for name, it in found.cv_results_.items() if "_time" not in name}
    return results, found.best_params_, *predicted(found.best_estimator_)


def predicted(fitted: Any) -> tuple[Any, Any]:
    """Here: threads that share memory add up what trees say as they come, whatever the backend, and so does its last bit."""
    with parallel_config(backend="sequential"):
        return fitted.predict(X), fitted.predict_proba(X)


def forest(state: Any) -> RandomForestClassifier:
    return RandomForestClassifier(15, random_state=state)


WHAT: dict[str, Callable[[], Any]] = {
    "cross_val_score_of_a_seed": lambda: scores(forest(7)),
    "cross_val_score_of_a_RandomState": lambda: scores(forest(np.random.RandomState(7))),
    "cross_val_score_of_a_pipeline": lambda: scores(
        make_pipeline(StandardScaler(), SGDClassifier(random_state=np.random.RandomState(3)))
    ),
    "cross_val_score_of_MLP": lambda: scores(MLPClassifier((8,), max_iter=30, random_state=np.random.RandomState(5))),
    "GridSearchCV_of_a_RandomState": lambda: search(
        GridSearchCV(
            forest(np.random.RandomState(7)), {"max_depth": [2, 4, None], "max_features": [2, 5]}, cv=4, n_jobs=-1
        )
    ),
    "RandomizedSearchCV_of_a_RandomState": lambda: search(
        RandomizedSearchCV(
            forest(np.random.RandomState(9)),
            {"max_depth": [1, 2, 3, 4, 5], "min_samples_leaf": [1, 2, 5]},
            n_iter=5,
            cv=3,
            random_state=np.random.RandomState(2),
            n_jobs=-1,
        )
    ),
    "a_forest_itself": lambda: predicted(forest(np.random.RandomState(4)).set_params(n_jobs=-1).fit(X, Y)),
}


def is_equal(one: Any, other: Any) -> bool:
    """To the last bit."""
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(is_equal, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(is_equal(one[name], other[name]) for name in one)
    if isinstance(one, np.ndarray) and one.dtype != object:
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    return bool(np.all(np.asarray(one == other)))


def main() -> None:
    warnings.simplefilter("ignore")
    for name, what in WHAT.items():
        with parallel_config(backend="sequential"):
            serial = what()
        for time in (1, 2):
            with parallel_config(backend="dhub"):
                there = what()
            print("passed" if is_equal(there, serial) else "failed", f"{name}.{time}", "not as without", flush=True)


if __name__ == "__main__":
    main()
