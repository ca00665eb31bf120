"""Things in order of time, by what they are of, to find the first from an instant on."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

Thing = TypeVar("Thing")
Key = TypeVar("Key", bound=Hashable)


class TimeIndex(Generic[Key, Thing]):
    """``keys`` are what a thing is of, ``time_s`` is its instant."""

    def __init__(
        self,
        things: Iterable[Thing],
        time_s: Callable[[Thing], int],
        keys: Callable[[Thing], Iterable[Key]],
    ) -> None:
        self._things = sorted(things, key=time_s)
        self._times_s = [time_s(each) for each in self._things]
        self._places: defaultdict[Key, list[int]] = defaultdict(list)
        for place, each in enumerate(self._things):
            for key in keys(each):
                self._places[key].append(place)

    def first(
        self,
        keys: Iterable[Key],
        since_s: int,
        is_asked: Callable[[Thing], bool] = lambda _: True,
        *,
        before_s: int | None = None,
    ) -> Thing | None:
        """Of any of the keys; of one instant, the thing that was given first."""
        since, end = bisect_left(self._times_s, since_s), len(self._things)
        if before_s is not None:
            end = bisect_left(self._times_s, before_s)
        found = None
        for key in keys:
            places = self._places.get(key, ())
            for n in range(bisect_left(places, since), bisect_left(places, end)):
                thing = self._things[places[n]]
                if is_asked(thing):
                    end, found = places[n], thing
                    break
        return found
