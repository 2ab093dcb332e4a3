"""How models and providers are, by what their calls came to; and whose turn it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrouter.config.schema import ProviderConfig
from mmrouter.decide.breaker import Change, Phase
from mmrouter.decide.rate_limit import Allowance
from mmrouter.errors import BadUpstreamRequestError, ProviderServerError, RateLimitedError
from mmrouter.router.health import ProviderHealth
from mmrouter.router.turns import Turns
from mmrouter.state.boards import MemoryBoard
from mmrouter.types import Candidate, Needs, Role, Target

NEEDS = Needs(input_tokens=100, input_bound=200)
DOWN = ProviderServerError("p answered 503")


def target(name: str, provider: str = "p") -> Target:
    return Target(name=name, provider=provider, kind="openai", upstream=name)


A, B, C = target("a"), target("b"), target("c")
OTHER = target("x", "q")


class World:
    """Health with a clock that stands until it is moved."""

    def __init__(self, board: MemoryBoard | None = None, **config: float) -> None:
        self.time = 1000.0
        settings = {"circuit_breaker_threshold": 2, **config}
        self.health = ProviderHealth(
            ProviderConfig.model_validate(settings), lambda: self.time, board
        )
        self.changes: list[Change] = []
        self.health.observe(self.changes.append)

    def call(self, model: Target, error: Exception | None = None, *, takes: float = 0.0) -> None:
        began = self.time
        self.health.called(model, NEEDS, began)
        self.time += takes
        if error is None:
            self.health.succeeded(model, began, ())
        elif isinstance(error, ProviderServerError | RateLimitedError | BadUpstreamRequestError):
            self.health.failed(model, began, error)

    def leave(self, model: Target, silent_s: float) -> None:
        """A call that its client gives up; the first byte may take 10 s."""
        began = self.time
        self.health.called(model, NEEDS, began)
        self.time += 9.0
        self.health.left(model, began, silent_s=silent_s, deadline_s=10.0)

    def retry(self, model: Target) -> bool:
        allowed = self.health.may_retry(model)
        if allowed:
            self.call(model)
        return allowed

    def down(self, *models: Target) -> None:
        for model in models:
            for _ in range(2):
                self.call(model, DOWN)

    def open(self, *models: Target) -> list[bool]:
        return [self.health.open(model) for model in models]

    @property
    def told(self) -> list[tuple[str | None, Phase]]:
        return [(change.model, change.phase) for change in self.changes]


def test_a_provider_opens_when_enough_of_its_models_are_open() -> None:
    world = World()
    world.down(A)
    assert world.open(A, B, C) == [True, False, False]
    world.down(B)
    assert world.open(A, B, C, OTHER) == [True, True, True, False]
    assert world.told == [("a", Phase.OPEN), ("b", Phase.OPEN), (None, Phase.OPEN)]
    assert world.changes[-1].cause == "ProviderServerError: p answered 503"


def test_one_model_that_opens_again_and_again_does_not_open_its_provider() -> None:
    world = World()
    for _ in range(5):
        world.down(A)
        world.time += 61
        assert world.open(A, B) == [False, False], "half open"
    world.call(A)
    world.down(A)
    assert world.open(A, B) == [True, False]


def test_one_good_answer_does_not_close_a_provider_whose_others_are_open() -> None:
    world = World(circuit_breaker_reset_ms=500_000)
    world.down(A, B)
    world.call(C, takes=1.0)  # it was already under way, or nobody else was left to ask
    assert world.open(C) == [True]
    world.time += 120
    world.call(C)
    assert world.open(C) == [False], "a probe at a time"
    world.health.called(C, NEEDS, world.time)
    assert world.open(C) == [True]


def test_a_provider_closes_with_the_first_good_probe_after_its_time() -> None:
    world = World()
    world.down(A, B)
    world.time += 119
    assert world.open(A, B, C) == [True, True, True], "the models' own time is long over"
    world.time += 1
    world.call(A)
    assert world.open(A, B, C) == [False, False, False]
    assert world.told[3:] == [
        ("a", Phase.HALF_OPEN),
        (None, Phase.HALF_OPEN),
        ("a", Phase.CLOSED),
        (None, Phase.CLOSED),
    ]
    world.health.called(B, NEEDS, world.time)
    assert world.open(A, B, C) == [False, True, False], "b is being probed still"


def test_a_bad_probe_opens_the_provider_again() -> None:
    world = World()
    world.down(A, B)
    world.time += 120
    world.call(C, DOWN)
    assert world.open(A, B, C) == [True, True, True]
    assert world.told[-1] == (None, Phase.OPEN)


def test_what_is_the_fault_of_the_request_speaks_against_nobody() -> None:
    world = World()
    for _ in range(10):
        world.call(A, BadUpstreamRequestError("wrong"))
        world.call(A, RateLimitedError("too many"))
    assert world.open(A) == [False]
    assert world.changes == []


def test_a_probe_that_was_the_requests_own_fault_makes_room_for_the_next() -> None:
    world = World()
    world.down(A)
    world.time += 60
    world.call(A, BadUpstreamRequestError("wrong"))
    assert world.open(A) == [False]
    began = world.time + 1
    world.health.called(A, NEEDS, began)
    assert world.open(A) == [True]
    world.health.left(A, began, silent_s=0.0, deadline_s=10.0)
    assert world.open(A) == [False]


@pytest.mark.parametrize(
    ("silent_s", "opens"), [(9.0, True), (5.0, True), (4.9, False), (0.0, False)]
)
def test_clients_that_leave_after_half_the_deadline_speak_against_a_silent_model(
    silent_s: float, opens: bool
) -> None:
    world = World()
    for _ in range(2):
        world.leave(A, silent_s)
    assert world.open(A) == [opens]


def test_a_model_that_answers_some_is_not_blamed_for_the_impatience_of_others() -> None:
    world = World()
    for _ in range(5):
        world.leave(A, 9.0)
        world.call(A)
    assert world.open(A) == [False]


def test_a_probe_that_its_client_gives_up_shuts_the_breaker_again() -> None:
    world = World()
    world.down(A)
    world.time += 60
    world.leave(A, 9.0)
    assert world.open(A) == [True]
    assert world.changes[-1].cause == "no byte in 9.0 s, after which the caller gave up"


def test_what_another_process_says_holds_here_and_is_not_told_again() -> None:
    board = MemoryBoard()
    here, there = World(board), World(board)
    there.down(A, B)
    assert here.open(A, B, C) == [True, True, True]
    here.time = there.time = there.time + 120
    there.health.called(A, NEEDS, there.time)
    assert here.open(A) == [True], "there it is being probed"
    there.health.succeeded(A, there.time, ())
    assert here.open(A, C) == [False, False]
    for change in there.changes:  # heard once more
        board.tell(change)
    assert here.open(A, C) == [False, False]
    assert here.changes == []


def test_a_model_that_said_429_is_passed_over_for_as_long_as_it_asks() -> None:
    world = World()
    world.call(A, RateLimitedError("too many", retry_after_s=7.0))
    assert world.health.limited(A, NEEDS) == "has answered 429 and asks for 7 s"
    assert world.health.limited(B, NEEDS) is None
    world.time += 7
    assert world.health.limited(A, NEEDS) is None


def test_an_answer_to_an_older_call_does_not_end_the_pause() -> None:
    world = World()
    began = world.time
    world.health.called(A, NEEDS, began)
    world.time += 1
    world.call(A, RateLimitedError("too many", retry_after_s=7.0))
    world.health.succeeded(A, began, ())
    assert world.health.limited(A, NEEDS) is not None
    world.time += 1
    world.call(A)  # nobody else was left to ask
    assert world.health.limited(A, NEEDS) is None


def test_without_a_wish_the_pause_doubles_up_to_a_minute() -> None:
    world = World()
    pauses = []
    for _ in range(9):
        world.call(A, RateLimitedError("too many"))
        start = world.time
        while world.health.limited(A, NEEDS):
            world.time += 0.5
        pauses.append(world.time - start)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    world.call(A)
    world.call(A, RateLimitedError("too many"))
    assert world.health.limited(A, NEEDS) == "has answered 429 and asks for 1 s"


def test_a_burst_that_is_refused_counts_once() -> None:
    world = World()
    began = world.time
    for _ in range(50):
        world.health.called(A, NEEDS, began)
    world.time += 0.1
    for _ in range(50):
        world.health.failed(A, began, RateLimitedError("too many"))
    assert world.health.limited(A, NEEDS) == "has answered 429 and asks for 1 s"


def test_what_was_sent_since_counts_against_what_was_left() -> None:
    world = World()
    for kind, left in (("requests", 3), ("tokens", 350)):
        told = Allowance(kind, left, None, world.time, world.time + 30)
        world.health.succeeded(A, world.time, [told])
        for _ in range(3):
            assert world.health.limited(A, NEEDS) is None
            world.health.called(A, NEEDS, world.time)
        assert world.health.limited(A, NEEDS) == f"has too few {kind} left for 30 s"


def test_a_bucket_fills_evenly_until_its_reset() -> None:
    world = World()
    world.health.succeeded(A, 0.0, [Allowance("requests", 0, 60, world.time, world.time + 60)])
    assert world.health.limited(A, NEEDS) == "has too few requests left for 1 s"
    world.time += 1
    assert world.health.limited(A, NEEDS) is None


def test_retries_are_a_share_of_the_calls() -> None:
    world = World(retry_budget=0.2, retry_budget_floor=0.0)
    assert not world.health.may_retry(A)
    for _ in range(100):
        world.call(A)
    assert [world.retry(A) for _ in range(30)].count(True) == 20
    assert not world.health.may_retry(OTHER), "each provider has its own"


@given(
    st.lists(st.tuples(st.integers(0, 50), st.floats(0, 5), st.integers(0, 50)), max_size=20),
    st.floats(0, 1),
    st.floats(0, 5),
)
def test_retries_never_exceed_the_share_and_the_floor(
    rounds: list[tuple[int, float, int]], share: float, floor: float
) -> None:
    world = World(retry_budget=share, retry_budget_floor=floor)
    start, calls, retries = world.time, 0, 0
    for some, pause, wanted in rounds:
        world.time += pause
        for _ in range(some):
            world.call(A)
        calls += some
        retries += sum(world.retry(A) for _ in range(wanted))
        assert retries <= calls * share + floor * (10 + world.time - start) + 1e-6


@pytest.mark.parametrize(
    ("shut", "order"),
    [("", "abc"), ("a", "bca"), ("ab", "cab"), ("abc", "abc"), ("c", "abc")],
)
def test_whose_breaker_is_shut_has_the_last_turn(shut: str, order: str) -> None:
    assert "".join(c.target.name for c in turns(lambda t: t.name in shut)) == order


def turns(shut: Callable[[Target], bool]) -> Turns:
    return Turns([Candidate(target=t, role=Role.ROUTE) for t in (A, B, C)], shut)
