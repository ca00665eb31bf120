"""When the next scheduled sync begins."""

LONGEST_BACK_OFF = 8  # times the usual pause
SPREAD = 0.1  # either way, so that many installations do not ask in the same second


def pause_s(every_s: float, failures: int, chance: float) -> float:
    """Seconds to wait after a run; twice as long with each of ``failures`` in a row.

    The first failure waits no longer than usual. ``chance`` lies in [0, 1).
    """
    back_off = min(2.0 ** max(failures - 1, 0), LONGEST_BACK_OFF)
    return every_s * back_off * (1 + SPREAD * (2 * chance - 1))
