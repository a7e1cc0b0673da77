"""Planted features that are decided by the token and by what stands before it."""

from __future__ import annotations

from evaluation.planted.meaning import Planted
from evaluation.planted.where import (
    ECHO,
    IN_BRACKETS,
    IN_COMMENT,
    IN_QUOTES,
    LINE_START,
    PAIR_SEEN,
    SEEN,
    among_first,
    like,
    right_after,
    surface,
    token,
    within,
)

WORD = like(r" ?[A-Za-z]+")
CAPITALISED = like(r" ?[A-Z][a-z]+")
NUMBER = like(r" ?[0-9]+")
BLANK = surface(str.isspace)

AFTER = (
    Planted(
        name="not after is",
        family="after a token",
        statement="Fires on ' not' right after ' is'.",
        grades=((1.0, token(" not") & right_after(token(" is"))),),
        noisy=True,
    ),
    Planted(
        name="what is imported",
        family="after a token",
        statement="Fires on words right after ' import' or 'import'.",
        grades=((1.0, WORD & right_after(token(" import", "import"))),),
    ),
    Planted(
        name="self after a bracket",
        family="after a token",
        statement="Fires on 'self' right after '('.",
        grades=((1.0, token("self") & right_after(token("("))),),
        decoy=(" None",),
    ),
    Planted(
        name="self after yield",
        family="after a token",
        statement="Fires on ' self' right after ' yield'.",
        grades=((1.0, token(" self") & right_after(token(" yield"))),),
        rare=True,
    ),
)

NEAR = (
    Planted(
        name="in after for",
        family="within a few tokens",
        statement="Fires on ' in' at most six tokens after ' for'.",
        grades=((1.0, token(" in") & within(6, token(" for"))),),
        noisy=True,
    ),
    Planted(
        name="None after if",
        family="within a few tokens",
        statement="Fires on ' None' at most five tokens after ' if'.",
        grades=((1.0, token(" None") & within(5, token(" if"))),),
    ),
    Planted(
        name="call on self",
        family="within a few tokens",
        statement="Fires on '(' at most three tokens after ' self'.",
        grades=((1.0, token("(") & within(3, token(" self"))),),
    ),
)

POSITION = (
    Planted(
        name="first token",
        family="position",
        statement="Fires on the first token of a text.",
        grades=((1.0, among_first(1)),),
    ),
    Planted(
        name="first words",
        family="position",
        statement="Fires on words among the first five tokens of a text.",
        grades=((1.0, WORD & among_first(5)),),
        noisy=True,
    ),
    Planted(
        name="line starts",
        family="position",
        statement="Fires on words that begin a line.",
        grades=((1.0, WORD & LINE_START),),
    ),
)

ENCLOSURE = (
    Planted(
        name="in quotes",
        family="enclosure",
        statement="Fires on words between double quotes.",
        grades=((1.0, WORD & IN_QUOTES),),
    ),
    Planted(
        name="in brackets",
        family="enclosure",
        statement="Fires on words inside brackets of any kind.",
        grades=((1.0, WORD & IN_BRACKETS),),
    ),
    Planted(
        name="in a comment",
        family="enclosure",
        statement="Fires on words after a # on their line.",
        grades=((1.0, WORD & IN_COMMENT),),
        decoy=(" =",),
    ),
)

REPETITION = (
    Planted(
        name="repeated capitalised word",
        family="repetition",
        statement="Fires on capitalised words that occurred earlier in the text.",
        grades=((1.0, CAPITALISED & SEEN),),
        noisy=True,
    ),
    Planted(
        name="repeated pair",
        family="repetition",
        statement="Fires on a word if it follows the same token as once before in the text.",
        grades=((1.0, WORD & PAIR_SEEN),),
    ),
    Planted(
        name="echo",
        family="repetition",
        statement="Fires on tokens, line breaks aside, that also stand two places earlier.",
        grades=((1.0, ECHO & ~BLANK),),
        noisy=True,
    ),
)

CONJUNCTION = (
    Planted(
        name="capitalised in a comment",
        family="conjunction",
        statement="Fires on capitalised words after a # on their line.",
        grades=((1.0, CAPITALISED & IN_COMMENT),),
    ),
    Planted(
        name="number in brackets",
        family="conjunction",
        statement="Fires on numbers inside brackets of any kind.",
        grades=((1.0, NUMBER & IN_BRACKETS),),
        noisy=True,
    ),
    Planted(
        name="self at a line's start",
        family="conjunction",
        statement="Fires on ' self' at the start of a line.",
        grades=((1.0, token(" self") & LINE_START),),
        decoy=(" return",),
    ),
    Planted(
        name="except in a comment",
        family="conjunction",
        statement="Fires on ' except' after a # on its line.",
        grades=((1.0, token(" except") & IN_COMMENT),),
        rare=True,
    ),
)

TWO_MEANINGS = (
    Planted(
        name="import and not equal",
        family="two meanings",
        statement="Fires on ' import' and, unrelated, on ' !='.",
        grades=((1.0, token(" import")), (0.8, token(" !="))),
    ),
    Planted(
        name="long numbers and else",
        family="two meanings",
        statement="Fires on numbers of two digits or more and, unrelated, on ' else'.",
        grades=((0.8, like(r" ?[0-9]{2,}")), (1.0, token(" else"))),
        noisy=True,
    ),
    Planted(
        name="of and empty brackets",
        family="two meanings",
        statement="Fires on ' of' and, unrelated, on '()'.",
        grades=((1.0, token(" of")), (0.9, token("()"))),
    ),
)

GRADED = (
    Planted(
        name="branches",
        family="graded strength",
        statement="Fires on ' if', less on ' elif', less still on ' else', faintly on ' while'.",
        grades=(
            (1.0, token(" if")),
            (0.7, token(" elif")),
            (0.45, token(" else")),
            (0.25, token(" while")),
        ),
    ),
    Planted(
        name="digits by value",
        family="graded strength",
        statement="Fires on single digits, the more strongly the larger they are.",
        grades=tuple((0.2 + 0.8 * d / 9, token(str(d), f" {d}")) for d in range(10)),
        noisy=True,
    ),
    Planted(
        name="depth of indentation",
        family="graded strength",
        statement="Fires on line breaks, the more strongly the deeper the next line is indented.",
        grades=(
            (0.25, like(r"\n+ {3,6}")),
            (0.5, like(r"\n+ {7,10}")),
            (0.75, like(r"\n+ {11,14}")),
            (1.0, like(r"\n+ {15,}")),
        ),
    ),
)

EXCEPTION = (
    Planted(
        name="self but at a line's start",
        family="exception to a rule",
        statement="Fires on ' self' unless it begins a line.",
        grades=((1.0, token(" self") & ~LINE_START),),
        noisy=True,
    ),
    Planted(
        name="numbers but 0 and 1",
        family="exception to a rule",
        statement="Fires on numbers other than 0 and 1.",
        grades=((1.0, NUMBER & ~like(r" ?[01]")),),
    ),
    Planted(
        name="not but after is and if",
        family="exception to a rule",
        statement="Fires on ' not' unless it comes right after ' is' or ' if'.",
        grades=((1.0, token(" not") & ~right_after(token(" is", " if"))),),
    ),
)

CONTEXT_FEATURES = (
    *AFTER,
    *NEAR,
    *POSITION,
    *ENCLOSURE,
    *REPETITION,
    *CONJUNCTION,
    *TWO_MEANINGS,
    *GRADED,
    *EXCEPTION,
)
