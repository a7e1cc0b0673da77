"""Closed classes of words, lower-case: few enough to be listed here, too many for a rule."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTION_WORDS = _words(
    """
    a about after all also an and any are as at be because been before but by can could do does
    each for from had has have he her his how i if in into is it its may might more most must no
    not of on one only or other our out over shall she should so some such than that the their
    them then there these they this those to under until up was we were what when where which
    while who whose why will with would you your
    """
)
PRONOUNS = _words(
    """
    i me my mine myself you your yours yourself yourselves he him his himself she her hers herself
    it its itself we us our ours ourselves they them their theirs themselves
    """
)
DETERMINERS = _words(
    "a an the this that these those each every either neither some any no another such"
)
PREPOSITIONS = _words(
    """
    about above across after against along among around at before behind below beneath beside
    between beyond by despite down during for from in inside into near of off on onto out outside
    over past since through throughout till to toward towards under until up upon via with within
    without
    """
)
CONJUNCTIONS = _words(
    "and or but nor so yet because although though while whereas if unless until since than as"
)
AUXILIARIES = _words(
    """
    am is are was were be been being have has had having do does did will would shall should can
    could may might must ought cannot
    """
)
QUESTION_WORDS = _words("who whom whose what which when where why how")
NUMBER_WORDS = _words(
    """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety
    hundred thousand million billion first second third fourth fifth sixth seventh eighth ninth
    tenth half dozen once twice
    """
)
MONTHS = _words(
    """
    january february march april may june july august september october november december jan feb
    mar apr jun jul aug sep sept oct nov dec
    """
)
WEEKDAYS = _words("monday tuesday wednesday thursday friday saturday sunday")
CODE_KEYWORDS = _words(
    """
    abstract async await bool boolean break case catch char class const continue def default del
    delete do double elif else end enum except export extends extern false final finally float fn
    for foreach from func function if impl implements import in include instanceof int interface
    let long match mod module mut namespace new nil none null override package pass private
    protected pub public raise require return self short signed sizeof static string struct super
    switch template this throw throws trait true try type typedef typeof union unsigned use using
    var virtual void volatile where while with yield
    """
)
