"""What is called: nothing."""


def noop(x):
    return x
