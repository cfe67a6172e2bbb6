"""How long to wait before the next probe."""


def probe_wait_seconds(
    failures: int, *, first: int, rate: float, longest: int, jitter_percent: int, chance: float
) -> int:
    """Return the wait before the next probe, in whole seconds.

    The wait before the first probe is exactly `first`. After each failed probe it grows by `rate` until it reaches
    `longest`. Jitter only shortens a wait, so `longest` is kept whatever chance says.

    Parameters
    ----------
    failures
        Failed probes so far in this incident.
    first
        Wait before the first probe, in seconds.
    rate
        Factor by which each failed probe lengthens the wait, 1 or more.
    longest
        Upper bound of every wait but the first, in seconds.
    jitter_percent
        Largest part of a wait that jitter may take away, 0 to 100.
    chance
        A random number from 0 to 1.
    """
    if failures == 0:
        return first
    try:
        # A whole rate would grow to a number of any length instead of overflowing.
        grown = first * float(rate) ** failures
    except OverflowError:
        grown = float(longest)
    wait = min(grown, longest)
    return max(1, round(wait * (1 - jitter_percent / 100 * chance)))
