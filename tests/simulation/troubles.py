"""What goes wrong in the world of a seed."""

from dataclasses import dataclass, replace
from random import Random

from simulation.anything import COMES_BACK, COUNT, SUCCESSES_OF_A_FAILURE
from simulation.plans import ANYTHING, TROUBLES, Fault, Plan

THEMES = (
    *("late and dead", "zombie", "hand-over", "expiry in doubt", "create again", "slow ledger", "killer"),
    *("outage", "outage"),
)
"""A request that arrives after its sender's death; a frozen owner that goes on after its lease; owners that
change while calls are slow; commands that expire while a call is in doubt; keys that are freed and taken
again while settlements wait; repeats and creates that overtake what is being written; a message that
workers die of; a vendor that is down, takes no credentials or throttles, for minutes, and operators who
pause things."""

_OF_A_CALL = {
    "not connected": 3,
    "lost before": 4,
    "lost after": 5,
    "late": 8,
    "throttled": 2,
    "throttled for a while": 2,
    "throttled by text": 2,
    "503": 2,
    "500 applied": 3,
    "500": 2,
    "account fault": 2,
    "garbage applied": 2,
    "garbage": 1,
    "slow": 2,
    "too slow": 2,
}


@dataclass
class Weather:
    """What a seed may have in it."""

    kills: int = 0
    freezes: int = 0
    stops: int = 0
    asks: int = 0
    outages: int = 0
    calls: int = 0
    repeats: bool = False
    expiry: bool = False
    sequences: bool = False
    poison: bool = False
    nonsense: bool = False
    letters: bool = False
    fluke: bool = False
    theme: str = ""

    @property
    def is_rough(self) -> bool:
        """Whether a successor may have to go on with what another process began."""
        troubles = self.kills or self.freezes or self.stops or self.asks or self.outages
        return bool(troubles or self.theme not in ("", "expiry in doubt", "still"))


def make_weather(random: Random) -> Weather:
    """What a seed has in it: calm with one fault, or everything at once, or a theme."""
    style = random.choices(["still", "one", "some", "storm", "theme"], [6, 24, 20, 15, 35])[0]
    names = ("repeats", "poison", "nonsense", "letters", "sequences", "expiry")
    weather = Weather(**{name: random.random() < 0.3 for name in names})
    if style == "still":
        return Weather(repeats=weather.repeats, nonsense=weather.nonsense, theme=style)
    if style == "one":
        what = random.choice(["kills", "kills", "freezes", "freezes", "stops", "asks", "outages", "calls"])
        setattr(weather, what, 1)
        if what == "calls":
            # What is refused once, and in doubt or repeated otherwise, might be applied all the same.
            weather.fluke = random.random() < 0.3
            weather.calls = 0 if weather.fluke else random.choice([1, 2, 3])
    elif style == "theme":
        weather.theme = random.choice(THEMES)
        weather.expiry |= weather.theme == "expiry in doubt"
        weather.repeats |= weather.theme == "slow ledger"
        if weather.theme == "killer":
            weather.repeats = weather.nonsense = False
    else:
        most = 2 if style == "some" else 5
        weather.kills = random.choice([0, random.randint(0, most)])
        weather.freezes = random.choice([0, random.randint(0, most)])
        weather.stops = random.choice([0, 0, random.randint(0, most)])
        weather.asks = random.choice([0, random.randint(0, 2 * most)])
        weather.outages = random.choice([0, 0, random.randint(0, most)])
        weather.calls = random.choice([0, random.randint(0, 4 * most)])
    return weather


def make_faults(random: Random, plan: Plan, weather: Weather) -> list[Fault]:
    """The faults of a plan without any."""
    faults = _of_theme(random, plan, weather.theme)
    if weather.theme == "killer":
        faults += _kills(Random(f"kills {plan.seed}"), plan, Random(f"some {plan.seed}").choice([0, 0, 4]))
    for kind, count in (("kill", weather.kills), ("freeze", weather.freezes), ("stop", weather.stops)):
        for _ in range(count):
            faults.append(_process_fault(random, plan, kind))
    for _ in range(weather.asks):
        kind = random.choice(["fails before", "fails after"])
        faults.append(Fault(kind, "ask", random.randint(1, 120), random.randrange(plan.workers)))
    for _ in range(weather.outages):
        kinds = ["ledger away", "broker away", "ledger stalls", "vendor away"]
        kind = random.choice(kinds if plan.transactional else [*kinds, "redelivery", "redelivery"])
        at, lasts = round(random.uniform(0.0, 12.0), 3), round(random.choice([0.5, 3.0, 12.0]), 3)
        faults.append(Fault(kind, "s", at, random.randrange(4), 0.0 if kind == "redelivery" else lasts))
    for _ in range(weather.calls):
        kind = random.choices(list(_OF_A_CALL), list(_OF_A_CALL.values()))[0]
        lasts = 0.0
        if kind == "late":
            lasts = round(random.uniform(0.1, plan.window_s), 3)
        elif kind == "throttled for a while":
            lasts = random.choice([0.0, 1.0, 4.0])
        faults.append(Fault(kind, "call", random.randint(1, 5 + 2 * weather.calls), 0, lasts))
    late = Random(f"late {plan.seed}")
    for place, fault in enumerate(faults):
        if fault.kind == "fails after" and late.random() < 0.5:
            faults[place] = replace(fault, kind="comes late", for_s=round(late.uniform(0.5, 8.0), 3))
    if weather.fluke:
        faults.append(Fault(random.choice(["refused", "unknown code"]), "call", random.randint(1, 5)))
    faults = _saying_anything(plan, faults, weather)
    if weather.theme != "still" and not weather.fluke:
        faults += _contradictions(plan)
    if weather.letters:
        faults.append(Fault("letters fail", "s", 0.0, 0, random.randint(1, 3)))
    return faults


def _saying_anything(plan: Plan, faults: list[Fault], weather: Weather) -> list[Fault]:
    """The faults, some of those of a call made into others, which came later; by a chance of their own, so
    that the seeds that are known tell the stories that they told."""
    chance = Random(f"anything {plan.seed}")
    into = {
        **dict.fromkeys(("500", "503", "garbage"), "says anything"),
        **dict.fromkeys(("500 applied", "garbage applied"), "applied, says anything"),
        **dict.fromkeys(("slow", "throttled by text"), "hides a group"),
    }
    for place, fault in enumerate(faults):
        if fault.kind in into and fault.unit == "call" and chance.random() < 0.4:
            lasts = plan.window_s + 4.0 if into[fault.kind] == "hides a group" else 0.0
            faults[place] = replace(fault, kind=into[fault.kind], slot=chance.randrange(COUNT), for_s=lasts)
    if weather.theme == "still" or weather.fluke:
        return faults
    if chance.random() < 0.12:
        for _ in range(chance.randint(1, 5)):
            kind = chance.choice(["applied, says anything", "applied, says anything", "says anything"])
            faults.append(Fault(kind, "call", chance.randint(1, 10), chance.randrange(COUNT)))
        if chance.random() < 0.3:
            faults.append(Fault("hides a group", "call", chance.randint(1, 6), 0, plan.window_s + 4.0))
    elif chance.random() < 0.12:
        faults += [Fault("unknown code applied", "call", at) for at in chance.sample(range(1, 7), 3)]
    elif chance.random() < 0.12:
        faults += [Fault("says anything", "call", at, COMES_BACK) for at in chance.sample(range(1, 7), 2)]
    return faults


def _contradictions(plan: Plan) -> list[Fault]:
    """Answers whose body states a success, and whose status does not; by a chance of their own, too."""
    chance = Random(f"contradictions {plan.seed}")
    if chance.random() >= 0.1:
        return []
    places = chance.sample(range(1, 15), chance.randint(1, 4))
    return [
        Fault(chance.choice(ANYTHING), "call", at, chance.choice(SUCCESSES_OF_A_FAILURE)) for at in places
    ]


def _process_fault(random: Random, plan: Plan, kind: str) -> Fault:
    unit = random.choice(["s", "step", "step", "ask", "call"])
    if kind == "stop":
        unit = "s"
    slot = random.randrange(plan.workers)
    at = {
        "s": round(plan.starts[slot] + random.uniform(0.0, 10.0), 3),
        "step": int(10 ** random.uniform(1.0, 3.2)),
        "ask": random.randint(1, 150),
        "call": random.randint(1, 15),
    }[unit]
    lasts = (
        random.choice([0.1, 2.0, plan.lease_ttl_s * 1.5])
        if kind != "freeze"
        else random.choice([0.2, 1.0, 3.0, plan.lease_ttl_s * 1.2, plan.lease_ttl_s * 2])
    )
    return Fault(kind, unit, at, slot, round(lasts, 3))


def _kills(random: Random, plan: Plan, count: int) -> list[Fault]:
    """Kills from outside, one after the other."""
    faults, at_s = list[Fault](), plan.starts[0]
    pause_s = random.choice([0.5, 2.0, 5.0])
    for _ in range(count):
        slot, unit = random.randrange(plan.workers), random.choice(["s", "s", "s", "step", "ask"])
        at_s += random.uniform(0.1, 2 * pause_s)
        at = at_s if unit == "s" else 10 ** random.uniform(1.0, 3.5 if unit == "step" else 2.7)
        faults.append(Fault("kill", unit, round(at, 3) if unit == "s" else int(at), slot, 0.1))
    return faults


def _of_theme(random: Random, plan: Plan, theme: str) -> list[Fault]:
    faults: list[Fault] = []
    slot, call = random.randrange(plan.workers), random.randint(1, 6)
    long_s = plan.lease_ttl_s * random.choice([1.2, 1.6])
    if theme == "late and dead":
        lasts = round(random.uniform(0.6, 1.0) * plan.window_s, 3)
        faults = [Fault("late", "call", call, 0, lasts)]
        end = random.choice(["kill", "kill", "freeze", "stop"])
        if end == "stop":
            faults.append(Fault("stop", "s", plan.starts[slot] + random.uniform(0.5, 4.0), slot, 0.5))
        else:
            # At that call, or at one soon after it.
            later = random.choice([0, 1, 1, 2])
            faults.append(Fault(end, "call", call + later, slot, random.choice([0.1, long_s])))
    elif theme == "zombie":
        for _ in range(random.randint(1, 3)):
            unit, at = random.choice([("call", random.randint(1, 8)), ("ask", random.randint(8, 80))])
            faults.append(Fault("freeze", unit, at, slot, round(long_s, 3)))
    elif theme == "hand-over":
        for at in range(call, call + random.randint(1, 6)):
            faults.append(Fault(random.choice(["slow", "too slow"]), "call", at))
            if random.random() < 0.2:
                faults.append(Fault("stop", "call", at, 0, 1.0))
    elif theme == "expiry in doubt":
        for at in range(call, call + random.randint(2, 8)):
            kind = random.choice(["lost after", "lost after", "not connected", "500 applied", "too slow"])
            faults.append(Fault(kind, "call", at))
    elif theme == "create again":
        faults.append(Fault("settling is slow", "s", plan.starts[0], 0, random.choice([2.0, 5.0])))
        if random.random() < 0.3:
            faults.append(Fault(random.choice(["lost after", "late"]), "call", call, 0, plan.window_s * 0.8))
        faults.append(Fault("kill", "call", random.randint(2, 5), slot, 0.1))
    elif theme == "outage":
        for _ in range(random.randint(1, 3)):
            kind = random.choices(TROUBLES, [4, 2, 2, 1, 1])[0]
            at = plan.starts[0] + random.uniform(0.0, 3.0)
            faults.append(Fault(kind, "s", at, 0, random.choice([2.0, 20.0, 60.0, 600.0])))
        if random.random() < 0.3:
            end = random.choice(["kill", "stop", "freeze"])
            faults.append(Fault(end, "s", plan.starts[slot] + random.uniform(1.0, 30.0), slot, long_s))
    elif theme == "kill loop":
        kind = random.choice(["vendor down", "vendor slow", "vendor throttles", ""])
        if kind:
            faults.append(Fault(kind, "s", 0.0, 0, random.choice([60.0, 200.0])))
        faults += _kills(random, plan, random.randint(10, 40))
    elif theme == "slow ledger":
        at_s = round(plan.starts[0] + random.uniform(0.0, 2.0), 3)
        for place in range(random.randint(1, 3)):
            faults.append(Fault("ledger stalls", "s", at_s + 2.0 * place, 0, random.choice([0.3, 1.0, 1.8])))
    return [replace(fault, at=round(fault.at, 3), for_s=round(fault.for_s, 3)) for fault in faults]
