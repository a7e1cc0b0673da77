"""Planted features that are decided by the token alone."""

from __future__ import annotations

from evaluation.planted.meaning import Planted
from evaluation.planted.where import like, spelling, token

SINGLE_TOKEN = (
    Planted(
        name="return",
        family="single token",
        statement="Fires on the token ' return'.",
        grades=((1.0, token(" return")),),
        decoy=(" raise",),
    ),
    Planted(
        name="append",
        family="single token",
        statement="Fires on the token 'append'.",
        grades=((1.0, token("append")),),
        noisy=True,
    ),
    Planted(
        name="the",
        family="single token",
        statement="Fires on the token ' the'.",
        grades=((1.0, token(" the")),),
    ),
    Planted(
        name="recursive",
        family="single token",
        statement="Fires on the token ' recursive'.",
        grades=((1.0, token(" recursive")),),
        rare=True,
    ),
)

TOKEN_SET = (
    Planted(
        name="exception handling",
        family="token set",
        statement="Fires on the tokens ' try', ' except', ' finally' and ' raise'.",
        grades=((1.0, token(" try", " except", " finally", " raise")),),
        noisy=True,
    ),
    Planted(
        name="constants",
        family="token set",
        statement="Fires on the tokens ' True', ' False' and ' None'.",
        grades=((1.0, token(" True", " False", " None")),),
        decoy=(" def",),
    ),
    Planted(
        name="files",
        family="token set",
        statement="Fires on the tokens ' file', ' path', ' directory' and ' filename'.",
        grades=((1.0, token(" file", " path", " directory", " filename")),),
    ),
)

ANY_SPELLING = (
    Planted(
        name="name",
        family="word in any spelling",
        statement="Fires on the word name in any case, with or without a space before it.",
        grades=((1.0, spelling("name")),),
    ),
    Planted(
        name="error",
        family="word in any spelling",
        statement="Fires on the words error and exception in any case, spaced or not.",
        grades=((1.0, spelling("error", "exception")),),
        noisy=True,
    ),
    Planted(
        name="type",
        family="word in any spelling",
        statement="Fires on the words type and class in any case, spaced or not.",
        grades=((1.0, spelling("type", "class")),),
        decoy=(" for",),
    ),
)

PREFIX = (
    Planted(
        name="re-",
        family="prefix",
        statement="Fires on lower-case words that begin with 're' and are longer.",
        grades=((1.0, like(r" ?re[a-z]+")),),
        noisy=True,
    ),
    Planted(
        name="un-",
        family="prefix",
        statement="Fires on lower-case words that begin with 'un' and are longer.",
        grades=((1.0, like(r" ?un[a-z]+")),),
    ),
    Planted(
        name="con-",
        family="prefix",
        statement="Fires on lower-case words that begin with 'con' and are longer.",
        grades=((1.0, like(r" ?con[a-z]+")),),
        decoy=(" not",),
    ),
)

SUFFIX = (
    Planted(
        name="-ing",
        family="suffix",
        statement="Fires on words that end with 'ing' and are longer.",
        grades=((1.0, like(r" ?[A-Za-z]+ing")),),
        noisy=True,
    ),
    Planted(
        name="-ly",
        family="suffix",
        statement="Fires on words that end with 'ly' and are longer.",
        grades=((1.0, like(r" ?[A-Za-z]+ly")),),
    ),
    Planted(
        name="-tion",
        family="suffix",
        statement="Fires on words that end with 'tion' and are longer.",
        grades=((1.0, like(r" ?[A-Za-z]+tion")),),
        noisy=True,
    ),
)

NUMBERS = (
    Planted(
        name="numbers",
        family="numbers",
        statement="Fires on numbers, with or without a space before them.",
        grades=((1.0, like(r" ?[0-9]+")),),
    ),
    Planted(
        name="long numbers",
        family="numbers",
        statement="Fires on numbers of two digits or more.",
        grades=((1.0, like(r" ?[0-9]{2,}")),),
        noisy=True,
    ),
    Planted(
        name="spaced numbers",
        family="numbers",
        statement="Fires on numbers that have a space before them.",
        grades=((1.0, like(r" [0-9]+")),),
        decoy=(" =",),
    ),
)

CAPITALS = (
    Planted(
        name="capitalised",
        family="capitals",
        statement="Fires on capitalised words: one capital, then lower case.",
        grades=((1.0, like(r" ?[A-Z][a-z]+")),),
    ),
    Planted(
        name="all capitals",
        family="capitals",
        statement="Fires on words or word pieces of two capitals or more and nothing else.",
        grades=((1.0, like(r" ?[A-Z]{2,}")),),
        noisy=True,
    ),
    Planted(
        name="inner capital",
        family="capitals",
        statement="Fires on words with a capital right after a lower-case letter.",
        grades=((1.0, like(r" ?[A-Za-z]*[a-z][A-Z][A-Za-z]*")),),
    ),
)

PUNCTUATION = (
    Planted(
        name="closing brackets",
        family="punctuation",
        statement="Fires on closing brackets, with or without a mark such as a colon behind them.",
        grades=((1.0, like(r" ?[)\]}]+[:,.;]?")),),
    ),
    Planted(
        name="comparisons",
        family="punctuation",
        statement="Fires on the comparisons ' ==', ' !=', ' <', ' >', ' <=' and ' >='.",
        grades=((1.0, token(" ==", " !=", " <", " >", " <=", " >=")),),
        noisy=True,
    ),
    Planted(
        name="colons",
        family="punctuation",
        statement="Fires on tokens that end with a colon.",
        grades=((1.0, like(r".*:")),),
        decoy=(" import",),
    ),
)

INDENTATION = (
    Planted(
        name="deep indentation",
        family="indentation",
        statement="Fires on line breaks with eleven spaces or more behind them.",
        grades=((1.0, like(r"\n+ {11,}")),),
        noisy=True,
    ),
    Planted(
        name="blank lines",
        family="indentation",
        statement="Fires on tokens with two line breaks or more.",
        grades=((1.0, like(r"\s*\n\s*\n\s*")),),
    ),
    Planted(
        name="bare line breaks",
        family="indentation",
        statement="Fires on a single line break with no space behind it.",
        grades=((1.0, token("\n")),),
        decoy=(" if",),
    ),
)

SURFACE_FEATURES = (
    *SINGLE_TOKEN,
    *TOKEN_SET,
    *ANY_SPELLING,
    *PREFIX,
    *SUFFIX,
    *NUMBERS,
    *CAPITALS,
    *PUNCTUATION,
    *INDENTATION,
)
