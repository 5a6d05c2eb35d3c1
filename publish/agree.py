"""Do two texts say the same?  Words must be equal; a number may differ as much as its cell says.

A number agrees with another that is one digit in the last printed place away; where two are printed
to different places, the finer one. What chance computes carries its tolerance with the cell, as one
of the tags in VARIES: so many per cent of the larger number, or a factor, on top of the rounding.
"""

import re

# tag: |a − b| over the larger of |a| and |b|
VARIES = {"varies-10%": 0.1, "varies-30%": 0.3, "varies-3x": 2 / 3}
POWER = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-")
NUMBER = re.compile(
    r"(?<![\w.])[-+−]?(?:10⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+|(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]?\d+)?(?: "
    r"× 10⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)?)",
    re.I,
)


def value_and_place(text):
    """A number as printed, and the value of one in its last place: '0.25' → (0.25, 0.01); '3 × 10⁴'
    → (30000.0, 10000.0).
    """
    digits, _, power = text.replace(",", "").partition(" × 10")
    if not power and (bare := re.fullmatch(r"([-+−]?)10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", digits)):
        digits, power = bare[1] + "1", bare[2]
    mantissa, _, exponent = digits.translate(POWER).lower().partition("e")
    shift = int(exponent or 0) + int(power.translate(POWER) or 0)
    return float(f"{mantissa}e{shift}"), float(f"1e{shift - len(mantissa.partition('.')[2])}")


def agrees(new, old, tolerance=0.0):
    """Whether two numbers as printed are the same, give or take ``tolerance`` of the larger and
    one in the last place, by which rounding can move them apart.

    >>> agrees("0.236", "0.235"), agrees("0.237", "0.235"), agrees("12", "10", 0.3)
    (True, False, True)
    >>> agrees("0.4", "0.6", 0.3)  # 0.449 and 0.551, say
    True
    """
    (a, place_a), (b, place_b) = value_and_place(new), value_and_place(old)
    return abs(a - b) <= 1.001 * min(place_a, place_b) + tolerance * max(abs(a), abs(b))


def words(text):
    """The lines of a text without their numbers; a number's width moves the blanks beside it, so
    these count as one.
    """
    return [re.sub(r"[ \t]+", " ", NUMBER.sub(" \0 ", line)).strip() for line in text.splitlines()]


def settled(new, old, tolerance=0.0):
    """``new`` with the old digits in place of each number that agrees with the old one; all of
    ``old`` if everything agrees.

    >>> settled("decay 0.236 in 3 runs", "decay 0.235 in 9 runs")
    'decay 0.235 in 3 runs'
    """
    if words(new) != words(old):
        return new
    kept, end = "", 0
    for found, before in zip(NUMBER.finditer(new), NUMBER.findall(old), strict=True):
        kept += new[end : found.start()] + (
            before if agrees(found[0], before, tolerance) else found[0]
        )
        end = found.end()
    kept += new[end:]
    return old if NUMBER.findall(kept) == NUMBER.findall(old) else kept


def tolerance_of(cell):
    """What a notebook's cell allows its numbers."""
    return max((VARIES[tag] for tag in cell.metadata.get("tags", []) if tag in VARIES), default=0.0)


def settled_outputs(new, old, tolerance=0.0):
    """The outputs of a cell, with each text settled against the one that stood in its place; in
    place.
    """
    for after, before in zip(new, old):
        if "text" in after and "text" in before:
            after["text"] = settled(after["text"], before["text"], tolerance)
        text, was = after.get("data", {}), before.get("data", {})
        if "text/plain" in text and "text/plain" in was:
            text["text/plain"] = settled(text["text/plain"], was["text/plain"], tolerance)
    return new
