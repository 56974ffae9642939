"""The tokens that this process holds: one run of sfcred per token, however many
threads and tasks ask.

A `Source` holds the token of one profile. Whoever finds it missing or about to
end starts a *flight*, one run of sfcred, and all others wait for that flight. A
thread flies itself, so that Ctrl-C ends its sfcred; a task has a thread do it,
so that its loop goes on. Between processes sfcred shares tokens by a cache of
its own; a forked child has what its parent held, and goes on alone.
"""

from __future__ import annotations

import contextlib
import copy
import os
import sys
import threading
import time
from concurrent.futures import Future
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple, Union

from . import errors, program
from .token import Token

#: How long a token is held whose server did not say when it ends, in seconds.
_UNKNOWN_LIFE = 60.0

#: How long a fresh token that was rejected is not replaced again, in seconds:
#: the next one would be rejected too, and each costs an exchange.
_RESPITE = 30.0


def _passed() -> float:
    """The time by a clock that nobody sets. On Linux it goes on while the machine
    sleeps; elsewhere the clock that can be set tells that."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class _Held:
    """A token, with what is needed to say whether it still lasts."""

    def __init__(self, token: Token, min_ttl: float) -> None:
        now = time.time()
        self.token = token
        self.asked = min_ttl
        self.end = token.expires_at.timestamp() if token.expires_at else now + _UNKNOWN_LIFE
        self.left = self.end - now
        self.until = _passed() + self.left

    def remaining(self) -> float:
        """How long it is good for, also where the clock was set back since."""
        return min(self.end - time.time(), self.until - _passed())

    def lasts(self, min_ttl: float) -> bool:
        """Whether it has min_ttl left; or half of what it came with, where it came
        with less: a server with short tokens is not to be asked each time."""
        left = self.remaining()
        if self.left <= min_ttl <= self.asked:
            return left > self.left / 2
        return left > min_ttl


class _Want(NamedTuple):
    """What somebody asks for: a token that lasts, or, if a server has rejected
    one, another than that."""

    min_ttl: float
    rejected: Optional[str] = None

    def met_by(self, held: _Held) -> bool:
        if self.rejected is None:
            return held.lasts(self.min_ttl)
        return held.token.value != self.rejected and held.remaining() > 0


class _Flight:
    """One run of sfcred, for the first who wanted it."""

    def __init__(self, want: _Want, pilot: Optional[int]) -> None:
        self.want = want
        #: The thread that flies it before it does anything else; None if that is
        #: one of its own.
        self.pilot = pilot
        self.landed: "Future[Token]" = Future()
        # From now on nobody can cancel it: a task that is cancelled while it
        # waits would otherwise take the token from all others.
        self.landed.set_running_or_notify_cancel()


class _Abandoned(Exception):
    """The thread that flew was interrupted; another one must fly."""


class Source:
    """The token of one profile; of the one that sfcred chooses, if that is None."""

    def __init__(
        self, profile: Optional[str], settings: Mapping[str, Optional[str]] = {}
    ) -> None:
        self._profile = profile
        self._settings = settings  # of the environment; None is not set
        self._held: Optional[_Held] = None
        self._hopeless: Tuple[str, float] = ("", 0.0)  # a token's value, and until when
        self._reset()

    def _reset(self) -> None:
        """Begins anew after a fork: the thread that flew is not in this process,
        and the lock may have been another thread's."""
        self._lock = threading.RLock()  # for a signal handler that asks
        self._flight: Optional[_Flight] = None

    def get(self, min_ttl: float) -> Token:
        """A token that lasts."""
        held = self._held
        if held is not None and held.lasts(min_ttl):  # the warm path takes no lock
            return held.token
        return self._fetch(_Want(min_ttl))

    async def aget(self, min_ttl: float) -> Token:
        """`get` for a task."""
        held = self._held
        if held is not None and held.lasts(min_ttl):
            return held.token
        return await self._afetch(_Want(min_ttl))

    def renew(self, rejected: str, min_ttl: float) -> Optional[Token]:
        """Another token than one that a server has rejected; None if there is no
        point in that."""
        return None if self._is_hopeless(rejected) else self._fetch(_Want(min_ttl, rejected))

    async def arenew(self, rejected: str, min_ttl: float) -> Optional[Token]:
        """`renew` for a task."""
        return None if self._is_hopeless(rejected) else await self._afetch(_Want(min_ttl, rejected))

    def give_up(self, fresh: Token) -> None:
        """Notes that a server has rejected a token that `renew` gave."""
        self._hopeless = (fresh.value, time.monotonic() + _RESPITE)

    def _is_hopeless(self, value: str) -> bool:
        hopeless, until = self._hopeless
        return value == hopeless and time.monotonic() < until

    def _fetch(self, want: _Want) -> Token:
        while True:
            found, mine = self._board(want, threading.get_ident())
            if isinstance(found, Token):
                return found
            if mine:
                self._fly(found)
            token = _brought(found, mine, want)
            if token is not None:
                return token

    async def _afetch(self, want: _Want) -> Token:
        while True:
            found, mine = self._board(want, None)
            if isinstance(found, Token):
                return found
            if mine:
                self._fly_aside(found)
            await _landing(found.landed)
            token = _brought(found, mine, want)
            if token is not None:
                return token

    def _board(self, want: _Want, pilot: Optional[int]) -> Tuple[Union[Token, _Flight], bool]:
        """The token that is held, if it is what is wanted; else the flight to wait
        for, and whether the caller is to fly it.

        A signal handler, or a finalizer, may ask in the middle of its own thread's
        flight. It would wait for ever, so it has a flight of its own."""
        with self._lock:
            if self._held is not None and want.met_by(self._held):
                return self._held.token, False
            if self._flight is not None and (pilot is None or self._flight.pilot != pilot):
                return self._flight, False
            self._flight = _Flight(want, pilot)
            return self._flight, True

    def _fly_aside(self, flight: _Flight) -> None:
        """Flies in a thread. Not in one of the loop's: a program that ends would
        wait for that one. This one is left behind."""
        try:
            threading.Thread(target=self._fly, args=(flight,), name="sfcred", daemon=True).start()
        except RuntimeError as problem:  # there are too many, or the interpreter shuts down
            self._land(flight, problem)

    def _fly(self, flight: _Flight) -> None:
        try:
            token = self._ask(flight.want)
        except Exception as problem:
            self._land(flight, problem)
        except BaseException:
            self._land(flight, _Abandoned())
            raise
        else:
            self._land(flight, token)

    def _ask(self, want: _Want) -> Token:
        force = want.rejected is not None
        try:
            return program.ask(
                self._profile, want.min_ttl, force=force, settings=self._settings
            )
        except _OUT_OF_REACH:
            held = self._held
            # As sfcred does where it still can: what is held is better than nothing.
            if force or held is None or held.remaining() <= 0:
                raise
            return held.token

    def _land(self, flight: _Flight, result: Union[Token, Exception]) -> None:
        with self._lock:
            if self._flight is flight:
                self._flight = None
            if isinstance(result, Token):
                self._held = _Held(result, flight.want.min_ttl)
        if isinstance(result, Token):
            flight.landed.set_result(result)
        else:
            flight.landed.set_exception(result)


_OUT_OF_REACH = (
    errors.KeyUnavailable,
    errors.NotInstalled,
    errors.ServerUnreachable,
    errors.TimedOut,
)


def _brought(flight: _Flight, mine: bool, want: _Want) -> Optional[Token]:
    """What a flight brought, when it has landed; None if it was another one's and
    is not what is wanted here, so that a flight of our own is due."""
    problem = flight.landed.exception()
    if isinstance(problem, _Abandoned):
        return None
    if problem is not None:
        raise problem if mine else copy.copy(problem)  # each thread adds its own traceback
    token = flight.landed.result()
    return token if mine or want.met_by(_Held(token, flight.want.min_ttl)) else None


async def _landing(landed: "Future[Token]") -> None:
    """Waits in a task: of asyncio, or of trio, which httpx runs under as well."""
    event = _trio_event(landed)
    if event is not None:
        await event.wait()
        return
    import asyncio  # it is there already, where a loop of it runs

    landing = asyncio.wrap_future(landed, loop=asyncio.get_running_loop())
    with contextlib.suppress(Exception):  # _brought looks at that
        await landing


def _trio_event(landed: "Future[Token]") -> Any:
    """An event of trio that comes with the landing; None outside trio."""
    trio: Any = sys.modules.get("trio")
    if trio is None:
        return None
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return None
    event, here = trio.Event(), trio.lowlevel.current_trio_token()

    def tell(_: "Future[Token]") -> None:
        with contextlib.suppress(trio.RunFinishedError):  # nobody waits there any more
            here.run_sync_soon(event.set)

    landed.add_done_callback(tell)
    return event


def checked_ttl(min_ttl: float) -> float:
    """min_ttl, if it is a number of seconds."""
    wrong = f"min_ttl={min_ttl!r} is not a number of seconds"
    try:
        if not 0 <= min_ttl < float("inf"):
            raise ValueError(wrong)
    except TypeError:  # a text, of a caller without a type checker
        raise TypeError(wrong) from None
    return min_ttl


#: What says in the environment which profile is meant, and what it is.
_DECIDES = (
    "HOME",
    "XDG_CONFIG_HOME",
    "SFCRED_CONFIG",
    "SFCRED_PROFILE",
    "SFCRED_CLIENT_ID",
    "SFCRED_PRIVATE_KEY_FILE",
    "SFCRED_TOKEN_URL",
    "SFCRED_API_URL",
    "SFCRED_HOSTS",
)

_sources: Dict[Tuple[Optional[str], ...], Source] = {}


def source_of(profile: Optional[str]) -> Source:
    """The source of a profile, one for the whole process.

    What the environment says of the profile is part of its name, and is what its
    sfcred is asked with, also later: a notebook that sets SFCRED_PROFILE is not to
    get the token of the one before, nor an older object that of the one after.
    """
    if profile is not None and not isinstance(profile, str):
        raise TypeError(f"profile={profile!r:.99} is a {type(profile).__name__}, not a name")
    settings = tuple(map(os.environ.get, _DECIDES))
    return _sources.setdefault(
        (profile, *settings), Source(profile, dict(zip(_DECIDES, settings)))
    )


def _after_fork() -> None:
    for source in _sources.values():
        source._reset()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_after_fork)
