"""A parameter sweep: tries every combination, shows a bar, and prints the best.

python sweep.py
"""

import itertools

import dhub


def loss(rate: float, depth: int) -> float:
    """Stands for a simulation, or the training of a model."""
    return (rate - 0.3) ** 2 + (depth - 5) ** 2 / 100


def main() -> None:
    combinations = list(itertools.product([0.1, 0.2, 0.3, 0.4], [3, 5, 7]))
    rates, depths = zip(*combinations)
    losses = dhub.map(loss, rates, depths, progress=True, retries=1)
    best, (rate, depth) = min(zip(losses, combinations))
    print(f"{len(losses)} combinations, the best: rate {rate}, depth {depth}, loss {best:.2f}")


if __name__ == "__main__":
    main()
