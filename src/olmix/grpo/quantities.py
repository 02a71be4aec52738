r"""Reading numbers as people and models write them, with what stands beside them.

A quantity is one number and, where given, a name (``x = 3``) and a unit: ``1 1/2``, ``1,200.50``,
``\frac{3}{4}``, ``2.5 \times 10^{3}``, ``0.\overline{3}``, ``$18``, ``5 km/h``, ``45^\circ``,
``2 million``, ``50%``. A text with anything else in it is none. Two quantities are equal when their
numbers are; a name or a unit may be left off, but two that are given must agree, and ``50%`` is
both 50 and 0.5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from olmix.grpo.answer_text import plain_text, unmarked, without_lead

__all__ = ["Quantity", "first_quantity", "read_quantity"]

_LONGEST = 100
"""Letters of the longest number that is read."""
_GROUPS = "|".join(rf"\d{{1,3}}(?:{mark}\d{{3}})+(?!\d)" for mark in (",", " ", "_", "'"))
_DIGITS = rf"(?:{_GROUPS}|\d+)(?:\.\d*)?|\.\d+"
_TIMES = r"\s*(?:\*|\\times|\\cdot|x)\s*"
_POWER = r"10\s*\^\s*\{{?\s*(?P<{0}>[-+]?\d{{1,3}})\s*\}}?"
_NUMBER = re.compile(
    r"(?P<sign>[-+]?)\s*(?:"
    r"(?P<whole>\d+)(?:\s+and)?\s+(?P<part>[1-9]\d*)\s*/\s*(?P<parts>\d+)"
    r"|(?P<fixed>\d*)\.(?P<before>\d*)\\overline\s*\{(?P<repeated>\d+)\}"
    rf"|{_POWER.format('power')}"
    rf"|(?P<top>{_DIGITS})(?:\s*/\s*(?P<below>{_DIGITS})|e(?P<e>[-+]?\d{{1,3}})"
    rf"|{_TIMES}{_POWER.format('times')})?"
    r")",
    re.IGNORECASE,
)
_ARGUMENT = r"\s*(?:\{{\s*(?P<{0}>[-+]?[\d.,]+)\s*\}}|(?P<{0}_digit>\d))"
_FRACTION = re.compile(
    rf"(?P<digit>\d\s*)?\\[dt]?frac{_ARGUMENT.format('top')}{_ARGUMENT.format('below')}"
)
_ENCLOSED = re.compile(r"\(([-+]?[\d.,/]+)\)(?=$|/)")
_NAMED = re.compile(r"((?:[a-z]+ ){0,3}(?:\\?[a-z]+\d?(?:_\{?\w+\}?)?)\s*)?=\s*")
_ABOUT = re.compile(r"(?:approximately|approx\.?|about|around|roughly|\u2248|~|\\approx|\\sim)\s*")
_CURRENCY = re.compile(r"(?:us)?\$|[€£¥₹]|(?:usd|eur|gbp|jpy|inr|rs)(?=[. \d])\.?")
_PERCENT = re.compile(r"\s*(?:%|percent\b|per cent\b|pct\b)(?: of [a-z ]+)?")
_SCALES = {"dozen": 12, "hundred": 100} | {
    name: 1000**power
    for power, name in enumerate(("thousand", "million", "billion", "trillion"), start=1)
}
_SCALE = re.compile(rf"\s*({'|'.join(_SCALES)})\b")
_PARTS = re.compile(
    r"\b(?:half|halves|third|fourth|quarter|fifth|sixth|seventh|eighth|ninth|tenth|hundredth"
    r"|thousandth|millionth|or|and|to|of|not|mod|squared|cubed|factorial)s?\b"
)
"""Words behind a number that make another number of it, or more than one."""
_DEGREE = re.compile(r"\^\s*\{?\s*\\(?:circ|degree)\s*\}?|\\degree")
_BASE = re.compile(r"_(?:\{(\d+)\}|(\d+))")
_SYMBOL = r"[€£¥₹¢$]|\u00b0\s?[cfk]?"
_WORD = r"[^\W\d_]+\.?(?:\^(?:\{-?\d\}|-?\d)|[23]\b)?"
_UNIT = re.compile(rf"(?:{_SYMBOL}|{_WORD})(?:[ /*\u00b7-]{_WORD}){{0,4}}")
_LETTER_UNITS = "m g s h l"
_ALIKE = """
$ dollar buck usd us$ | € euro eur | £ pound lb lbs gbp | ¥ yen jpy | ₹ rupee rs inr | ¢ cent
m meter metre | cm centimeter centimetre | mm millimeter millimetre | km kilometer kilometre
in inch inches | ft foot feet | yd yard | mi mile | s sec second | min minute | h hr hour
g gram | kg kilogram kilo | mg milligram | oz ounce | l liter litre | ml milliliter millilitre
\u00b0 degree deg | square sq | cubic cu | person people | child children | man men | woman women
kmh km/h kph | mph mile/h
"""
_ONE_UNIT = {
    each: words.split()[0]
    for words in _ALIKE.strip().replace("\n", "|").split("|")
    for each in words.split()
}
"""The spelling under which each spelling of a unit is compared."""


@dataclass(frozen=True)
class Quantity:
    """A number with what stands beside it.

    Attributes:
        value: the number as it is written: 50 for ``50%``.
        name: as in ``x = 3``; empty where there is none.
        unit: in its one spelling; empty where there is none.
        is_percentage: whether a percent sign follows.
    """

    value: Fraction
    name: str = ""
    unit: str = ""
    is_percentage: bool = False

    def closeness(self, true: Quantity) -> float:
        """Return 1 for equal quantities, 0.5 within a tenth, 0 otherwise and for other things."""
        pairs = ((self.unit, true.unit), (self.name, true.name))
        if any(mine and others and mine != others for mine, others in pairs):
            return 0.0
        scales = [Fraction(1)]
        if self.is_percentage != true.is_percentage:
            scales.append(Fraction(1, 100) if self.is_percentage else Fraction(100))
        gaps = [abs(self.value * scale - true.value) for scale in scales]
        if not min(gaps):
            return 1.0
        return 0.5 if min(gaps) <= abs(true.value) / 10 else 0.0


def read_quantity(text: str) -> Quantity | None:
    """Return the quantity that a text is, if it is one and nothing else."""
    text = _ABOUT.sub("", without_lead(unmarked(plain_text(text))), count=1)
    named = _NAMED.match(text)
    name = (named[1] or "").strip() if named else ""
    text = unmarked(_simple(text[named.end() :] if named else text))
    sign = text[:1] if text[:1] in ("-", "+") else ""
    currency = _CURRENCY.match(text, len(sign))
    text = sign + text[currency.end() :].lstrip() if currency else text
    found = _NUMBER.match(text)
    value = None if found is None else _value(found)
    if found is None or value is None:
        return None
    read = _with_rest(value, text[found.end() :], name)
    if read is None or currency is None:
        return read
    unit = _one_unit(currency[0].strip(" ."))
    return None if read.unit not in ("", unit) else Quantity(read.value, name, unit)


def first_quantity(text: str) -> Quantity | None:
    """Return the first number in a text, unless it is a part of something longer such as 2x."""
    text = _simple(plain_text(text))
    start = re.search(r"\.?\d", text)
    if start is None:
        return None
    begin = start.start() - text[: start.start()].endswith(("-", "+"))
    found = _NUMBER.match(text, begin)
    if found is None or re.search(r"[\w^*/(:,]$", text[:begin]):
        return None
    rest = text[found.end() :]
    if re.match(r"\s*[\^*/+=(]|[\w:]", rest):
        return None
    value, scale = _value(found), _SCALE.match(rest)
    if value is None:
        return None
    value *= _SCALES[scale[1]] if scale else 1
    return Quantity(value, is_percentage=_PERCENT.match(rest) is not None)


def _simple(text: str) -> str:
    """Return a text with LaTeX's spaces, signs and fractions of numbers written plainly."""
    text = re.sub(r"\\left|\\right|\\!", "", text)
    text = re.sub(r"\\[,;: ]|~", " ", text).replace("{,}", ",")
    text = text.replace("\\$", "$").replace("\\%", "%")
    text = _DEGREE.sub("\u00b0", text)
    text = _FRACTION.sub(_written_out, text)
    return _ENCLOSED.sub(r"\1", text).strip()


def _written_out(found: re.Match[str]) -> str:
    top, below = (found[name] or found[f"{name}_digit"] for name in ("top", "below"))
    return f"{found['digit'].strip()} {top}/{below}" if found["digit"] else f"{top}/{below}"


def _value(found: re.Match[str]) -> Fraction | None:
    """Return the number that the pattern found, `None` for a division by 0."""
    if len(found[0]) > _LONGEST:
        return None
    if found["part"]:
        parts = int(found["parts"])
        if int(found["part"]) >= parts:
            return None
        size = int(found["whole"]) + Fraction(int(found["part"]), parts)
    elif found["repeated"]:
        fixed, before, repeated = (found[each] or "" for each in ("fixed", "before", "repeated"))
        nines = (10 ** len(repeated) - 1) * 10 ** len(before)
        size = Fraction(f"{fixed or 0}.{before or 0}") + Fraction(int(repeated), nines)
    else:
        below = _decimal(found["below"] or "1")
        if not below:
            return None
        power = int(found["power"] or found["e"] or found["times"] or 0)
        size = _decimal(found["top"] or "1") / below * Fraction(10) ** power
    return -size if found["sign"] == "-" else size


def _decimal(digits: str) -> Fraction:
    return Fraction(re.sub(r"[, '_]", "", digits))


def _with_rest(value: Fraction, rest: str, name: str) -> Quantity | None:
    """Return a quantity with what stands behind its number, `None` if that is no unit."""
    percent = _PERCENT.fullmatch(rest)
    if percent is not None:
        return Quantity(value, name, is_percentage=True)
    base = _BASE.fullmatch(rest)
    if base is not None:
        return Quantity(value, name, f"base {base[1] or base[2]}")
    scale = _SCALE.match(rest)
    if scale is not None:
        value, rest = value * _SCALES[scale[1]], rest[scale.end() :]
    is_apart, rest = rest[:1] in ("", " "), rest.strip().removesuffix(".")
    if not rest:
        return Quantity(value, name)
    if _UNIT.fullmatch(rest) is None or _PARTS.search(rest):
        return None
    unit, first = _one_unit(rest), re.split(r"[ /*^\u00b7-]", rest)[0]
    is_known = first.rstrip("23.") in _ONE_UNIT or first.startswith("\u00b0")
    if len(first) == 1 and first.isalpha():
        is_known = first in _LETTER_UNITS.split() and (is_apart or rest in "m g l" or "/" in rest)
    if not is_known and (not is_apart or len(first) < 3):  # 3ab, 3 xy: products of letters
        return None
    return Quantity(value, name, unit)


def _one_unit(text: str) -> str:
    """Return a unit in its one spelling: in the singular, with powers and ratios as written."""
    text = re.sub(r"\bper\b", "/", text).replace(".", "")
    text = re.sub(r"([^\W\d_]+)\^?\{?2\}?", r"square \1", text)
    text = re.sub(r"([^\W\d_]+)\^?\{?3\}?", r"cubic \1", text)
    words = re.split(r"\s*(/)\s*|\s+", text)
    return "".join(_one_word(word) for word in words if word)


def _one_word(word: str) -> str:
    if word not in _ONE_UNIT and len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    return _ONE_UNIT.get(word, word)
