"""Texts, questions and answers drawn from a grammar by a seed: something to learn that comes from nowhere else.

Documents mix sentences with agreement between subject and verb across a clause, small stories that count, sums in words
and in figures, and dates. Questions ask for a date in figures, year first; no document has a date in that form.
"""

import calendar
import json

ONES = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen").split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = ("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
            "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth").split()
MONTHS = calendar.month_name[1:]
YEARS = range(1900, 2100)

NAMES = "Anna Ben Clara David Emma Felix Greta Hugo Ida Jonas Lena Max Nora Otto Paula Rosa Simon Tom".split()
PEOPLE = "baker doctor farmer girl boy king teacher painter sailor gardener singer driver writer uncle".split()
ANIMALS = "dog cat bird horse rabbit bear fox duck goat cow".split()
THINGS = "letter book lamp table garden house boat ring picture window basket clock key stone".split()
GOODS = "apple pear cake coin button ticket stamp candle".split()
ADJECTIVES = "old young small tall quiet clever tired brave friendly careful gray famous happy slow".split()
COLORS = "red blue green yellow white black brown".split()
# What someone does alone, and what is done to something.
ALONE = ("sleep", "wait", "laugh", "work", "sing", "run home", "rest at noon", "talk all day")
TOGETHER = ("see", "like", "follow", "know", "help", "find", "paint", "remember", "wash", "hear")
PLACES = ("in the garden", "near the river", "behind the house", "at the market", "in the old town", "on the hill",
          "under the bridge", "by the sea")
EVENTS = ("letter was written", "bridge was opened", "school was built", "ship came back", "king was crowned",
          "house was sold", "first train arrived", "picture was painted")


def in_words(number):
    """Below a thousand: `three hundred and forty-two`."""
    if number < 20:
        return ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return TENS[tens - 2] + (f"-{ONES[ones]}" if ones else "")
    hundreds, rest = divmod(number, 100)
    return f"{ONES[hundreds]} hundred" + (f" and {in_words(rest)}" if rest else "")


def ordinal(day):
    if day <= 20:
        return ORDINALS[day - 1]
    return "thirtieth" if day == 30 else f"{TENS[day // 10 - 2]}-{ORDINALS[day % 10 - 1]}"


def plural(noun):
    return f"{noun}es" if noun.endswith(("x", "s")) else f"{noun}s"


def third_person(verb):
    first, _, rest = verb.partition(" ")
    return (f"{first}es" if first.endswith(("sh", "x")) else f"{first}s") + (f" {rest}" if rest else "")


class Grammar:
    """Draws sentences; `chance` is a `random.Random`."""

    def __init__(self, chance):
        self.chance = chance

    def pick(self, choices):
        return self.chance.choice(choices)

    def noun(self, is_plural, nouns=PEOPLE + ANIMALS):
        words = [self.pick(ADJECTIVES)] if self.chance.random() < 0.6 else []
        if self.chance.random() < 0.2:
            words.append(self.pick(COLORS))
        noun = self.pick(nouns)
        words.append(plural(noun) if is_plural else noun)
        if is_plural:
            return self.pick(("the", "two", "three", "many", "these")) + " " + " ".join(words)
        return self.pick(("the", "the", "every", "this")) + " " + " ".join(words)

    def verb(self, verb, is_plural):
        return verb if is_plural else third_person(verb)

    def agreement(self):
        """A verb agrees with its subject, whatever stands between them: `The dogs that the girl likes sleep.`"""
        is_plural = self.chance.random() < 0.5
        subject = self.noun(is_plural)
        between = self.chance.random()
        if between < 0.35:
            other = self.chance.random() < 0.5
            subject += f" that {self.noun(other)} {self.verb(self.pick(TOGETHER), other)}"
        elif between < 0.6:
            subject += " " + self.pick(PLACES)
        if self.chance.random() < 0.5:
            text = f"{subject} {self.verb(self.pick(ALONE), is_plural)}"
        else:
            what = self.noun(self.chance.random() < 0.4, THINGS)
            text = f"{subject} {self.verb(self.pick(TOGETHER), is_plural)} {what}"
        return text[0].upper() + text[1:] + "."

    def story(self):
        """Someone has so many, gets more or gives some away, and has the sum or the difference."""
        name, good = self.pick(NAMES), self.pick(GOODS)
        have, change = self.chance.randint(2, 20), self.chance.randint(1, 12)
        is_more = have <= change or self.chance.random() < 0.5
        after = have + change if is_more else have - change
        act = self.pick(("buys", "finds", "gets")) if is_more else self.pick(("sells", "loses", "gives away"))
        write = in_words if self.chance.random() < 0.5 else str

        def counted(number):
            return f"{write(number)} {good if number == 1 else plural(good)}"

        more = " more" if is_more else ""
        return (f"{name} has {counted(have)}. {name} {act} {write(change)}{more}. "
                f"Now {name} has {counted(after)}.")

    def sum(self):
        left, right = self.chance.randint(0, 60), self.chance.randint(0, 39)
        if self.chance.random() < 0.5:
            return f"{in_words(left)} plus {in_words(right)} is {in_words(left + right)}.".capitalize()
        return f"{left} + {right} = {left + right}."

    def date(self):
        """(day, month, year)."""
        year, month = self.pick(YEARS), self.chance.randint(1, 12)
        return self.chance.randint(1, calendar.monthrange(year, month)[1]), month, year

    def history(self):
        """An event with its date, which is said again in another form."""
        date, event = self.date(), self.pick(EVENTS)
        one, another = self.chance.sample(DATE_FORMS, 2)
        place, name = self.pick(PLACES), self.pick(NAMES)
        return self.pick((
            f"The {event} {place} on {one(date)}. {name} was there on {another(date)}.",
            f"On {one(date)} the {event}. {name} wrote about {another(date)} in a book.",
            f"{name} was born on {one(date)}. The birthday of {name} is {another(date)}."))

    def document(self):
        kinds = (self.agreement, self.agreement, self.story, self.sum, self.history)
        return " ".join(self.pick(kinds)() for _ in range(self.chance.randint(3, 9)))


def day_first(date):
    return f"{date[0]} {MONTHS[date[1] - 1]} {date[2]}"


def month_first(date):
    return f"{MONTHS[date[1] - 1]} {date[0]}, {date[2]}"


def day_in_words(date):
    return f"the {ordinal(date[0])} of {MONTHS[date[1] - 1]} {date[2]}"


DATE_FORMS = (day_first, month_first, day_in_words)
QUESTIONS = ("What is {} in figures?", "Write {} in figures.", "Please give me {} as figures.")
POLITE, CURT = "You are welcome.", "That is all."


def figures(date):
    return f"{date[2]:04}-{date[1]:02}-{date[0]:02}"


class Questions:
    """Questions about dates; none that is held out has a date that was trained."""

    def __init__(self, chance, count, held_out):
        self.chance = chance
        grammar = Grammar(chance)
        dates = []
        seen = set()
        while len(dates) < count + held_out:
            date = grammar.date()
            if date not in seen:
                seen.add(date)
                dates.append(date)
        self.trained, self.held_out = dates[:count], dates[count:]

    def question(self, date):
        return self.chance.choice(QUESTIONS).format(self.chance.choice(DATE_FORMS)(date))

    def answer(self, date, ending):
        return f"{figures(date)}. {ending}"


def message(role, content):
    return {"role": role, "content": content}


def write_rows(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")


def write_documents(path, chance, byte_count):
    """Documents of at least so many bytes of text, a row each; how many bytes and documents there are."""
    grammar, rows, size = Grammar(chance), [], 0
    while size < byte_count:
        text = grammar.document()
        size += len(text) + 1
        rows.append({"messages": [message("assistant", text)]})
    write_rows(path, rows)
    return size, len(rows)
