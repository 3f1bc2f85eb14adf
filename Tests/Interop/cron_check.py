"""Cron's moments against croniter's, minute by minute over two years in five time zones.

Needs croniter (PyPI). Where clocks are set, Martlet keeps the rule of docs/cron: a local time that is skipped does not
fire, one that comes twice fires twice. croniter moves such times instead, so days on which clocks are set are compared
with the rule itself, walked minute by minute with the machine's time zone files.
"""

import argparse
import datetime as dt
import json
import random
import subprocess
import sys
from zoneinfo import ZoneInfo

from croniter import croniter

ZONES = ["UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
START = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
END = dt.datetime(2028, 1, 1, tzinfo=dt.timezone.utc)
SCHEDULES = [
    "* * * * *", "*/15 * * * *", "0 * * * *", "30 2 * * *", "0 0 * * *", "15 1 * * 0", "45 1 1,15 * *",
    "0 6 * * MON-FRI", "0 12 13 * FRI", "0 0 29 2 *", "5 4 * JAN-MAR 1", "59 23 31 12 *", "7-37/10 8-18/2 * * 1-5",
]


def field(rng, low, high):
    """A random field of a schedule."""
    kind = rng.randrange(5)
    number = rng.randint(low, high)
    if kind == 0:
        return "*"
    if kind == 1:
        return f"*/{rng.randint(2, max(2, (high - low) // 2))}"
    # croniter takes 0-0 for every day; to cron it is a single one.
    if kind == 2 and number < high:
        return f"{number}-{rng.randint(number + 1, high)}"
    if kind == 3:
        return ",".join(str(rng.randint(low, high)) for _ in range(3))
    return str(number)


def random_schedules(rng, count):
    ranges = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]
    return [" ".join(field(rng, *bounds) for bounds in ranges) for _ in range(count)]


def ours(martlet, schedule, zone):
    """The moments as Martlet gives them, in seconds since 1970."""
    text = subprocess.run(
        [martlet, "cron", "next", "--schedule", schedule, "--timezone", zone, "-o", "json",
         "--from", (START - dt.timedelta(seconds=1)).isoformat().replace("+00:00", "Z"),
         "--until", (END - dt.timedelta(seconds=1)).isoformat().replace("+00:00", "Z")],
        check=True, capture_output=True, text=True).stdout
    return [int(dt.datetime.fromisoformat(t.replace("Z", "+00:00")).timestamp()) for t in json.loads(text)["fires"]]


def days_of_change(zone):
    """Local dates on which the zone's clocks are set."""
    info, days = ZoneInfo(zone), set()
    moment = START - dt.timedelta(days=2)
    while moment < END + dt.timedelta(days=2):
        here, then = moment.astimezone(info), (moment + dt.timedelta(hours=1)).astimezone(info)
        if here.utcoffset() != then.utcoffset():
            days |= {here.date(), then.date()}
        moment += dt.timedelta(hours=1)
    return days


def theirs(schedule):
    """Wall times by croniter, which knows no zone here."""
    start = dt.datetime(2025, 12, 30)
    moments = croniter(schedule, start - dt.timedelta(minutes=1), day_or=True)
    walls = []
    try:
        while True:
            wall = moments.get_next(dt.datetime)
            if wall >= dt.datetime(2028, 1, 3):
                return walls
            walls.append(wall)
    except Exception:  # croniter gives up on dates that never come
        return walls


def by_rule(walls, zone, changes):
    """Wall times as moments: the calendar is croniter's, what becomes of it where clocks are set is the rule's."""
    info, expected = ZoneInfo(zone), set()
    for wall in walls:
        for fold in (0, 1) if wall.date() in changes else (0,):
            moment = wall.replace(tzinfo=info, fold=fold).astimezone(dt.timezone.utc)
            # A skipped wall time comes back as another one.
            if moment.astimezone(info).replace(tzinfo=None) == wall and START <= moment < END:
                expected.add(int(moment.timestamp()))
    return sorted(expected)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--martlet", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--random", type=int, default=25, help="schedules made by chance")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    failures, compared, apart = 0, 0, 0
    changes = {zone: days_of_change(zone) for zone in ZONES}
    for schedule in SCHEDULES + random_schedules(rng, options.random):
        walls = theirs(schedule)
        for zone in ZONES:
            found, expected = ours(options.martlet, schedule, zone), by_rule(walls, zone, changes[zone])
            compared += len(expected)
            apart += sum(1 for wall in walls if wall.date() in changes[zone])
            if found != expected:
                failures += 1
                extra, missing = sorted(set(found) - set(expected))[:3], sorted(set(expected) - set(found))[:3]
                show = [dt.datetime.fromtimestamp(s, ZoneInfo(zone)).isoformat() for s in extra]
                lack = [dt.datetime.fromtimestamp(s, ZoneInfo(zone)).isoformat() for s in missing]
                print(f"FAIL {schedule!r} in {zone}: {len(found)} moments, expected {len(expected)}; too many {show}, "
                      f"missing {lack} (--seed {options.seed})")
    print(f"{compared} moments compared, {apart} of them on days on which clocks are set; {failures} schedules differ")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
