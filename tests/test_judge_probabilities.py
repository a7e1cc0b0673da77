"""Expected values of a judge's numbers, computed by hand from its tokens' alternatives."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import pytest

from evaluation.judges.language_model.probabilities import expectations
from tests.llm_server.usage import logprobs_of
from tools.llm.logprobs import reported
from tools.llm.replies import Reply, TokenLogprobs

Token = str | tuple[str, Mapping[str, float]]
"""One that was certain, or one with the shares of its alternatives."""


def reply(*tokens: Token) -> Reply:
    told = [_token(token) for token in tokens]
    return Reply("".join(each.token for each in told), "stop", tuple(told))


def _token(token: Token) -> TokenLogprobs:
    text, shares = (token, {token: 1.0}) if isinstance(token, str) else token
    return TokenLogprobs(text, {name: math.log(share) for name, share in shares.items()})


def one(*tokens: Token, said: int, highest: int = 10) -> float | None:
    """The expected value of a number between a head and a tail."""
    whole = reply('{"', "activation", '":', *tokens, "}")
    found = expectations(whole, "activation", [said], highest)
    if found is None:
        return None
    (value,) = found
    return value


def test_the_expected_value_is_over_the_numbers_among_the_alternatives() -> None:
    shares = {"3": 0.5, "4": 0.25, "8": 0.125, "x": 0.0625, "]": 0.0625}
    mean = (3 * 0.5 + 4 * 0.25 + 8 * 0.125) / 0.875
    assert one(("3", shares), said=3) == pytest.approx(mean)
    assert one("3", said=3) == 3.0


@pytest.mark.parametrize("said", ["1", " 1", "\n 1"])
def test_equal_numbers_are_summed_however_they_are_spaced(said: str) -> None:
    shares = {"1": 0.25, " 1": 0.125, "\n 1": 0.125, "9": 0.5}
    assert one((said, shares), said=1) == pytest.approx(0.5 * 1 + 0.5 * 9)


@pytest.mark.parametrize(
    "stranger", ["11", "100", "-3", "3.5", "05", "٣", "²", "½", "３", "three", "3x", "", " "]
)
def test_what_is_no_whole_number_from_0_to_10_does_not_count(stranger: str) -> None:
    assert one(("3", {"3": 0.5, "7": 0.25, stranger: 0.25}), said=3) == pytest.approx(13 / 3)


def test_a_number_may_end_within_its_token() -> None:
    shares = {"3}": 0.5, "7,": 0.25, "8 ]": 0.125, "9.5}": 0.125}
    whole = reply('{"activation": ', ("3}", shares))
    expected = (3 * 0.5 + 7 * 0.25 + 8 * 0.125) / 0.875
    assert expectations(whole, "activation", [3], 10) == (pytest.approx(expected),)


def test_ten_may_be_one_token() -> None:
    assert one(("10", {"10": 0.6, "1": 0.2, "0": 0.2}), said=10) == pytest.approx(6.2)


def test_ten_may_be_two_tokens() -> None:
    first, second = {"1": 0.8, "2": 0.2}, {"0": 0.6, "}": 0.2, "5": 0.2}
    ten, single, two = 0.8 * 0.6, 0.8 * 0.2, 0.2
    expected = (10 * ten + 1 * single + 2 * two) / (ten + single + two)
    assert one(("1", first), ("0", second), said=10) == pytest.approx(expected)


def test_a_one_that_might_have_gone_on_to_ten() -> None:
    first = {"1": 0.5, " 1": 0.3, "4": 0.2}
    whole = reply('{"activation": ', ("1", first), ("}", {"}": 0.75, "0": 0.125, "0}": 0.125}))
    ten, single = 0.8 * 0.25, 0.8 * 0.75
    assert expectations(whole, "activation", [1], 10) == (
        pytest.approx(10 * ten + single + 4 * 0.2),
    )


def test_each_number_of_a_list_is_read_at_its_place() -> None:
    half = {"0": 0.5, "2": 0.5}
    whole = reply("So:\n", '{"activations": [', ("0", half), ",", " ", "0", ",", " 1", "0", "]}")
    assert expectations(whole, "activations", [0, 0, 10], 10) == (1.0, 0.0, 10.0)


def test_tokens_may_hold_what_stands_around_a_number() -> None:
    whole = reply(
        '{"fires":',
        (" [1", {" [1": 0.6, "[0": 0.2, " [": 0.2}),
        (",0", {",0": 0.5, ",1": 0.5}),
        ("]", {"]": 1.0}),
        "}",
    )
    first, second = expectations(whole, "fires", [1, 0], 1) or (None, None)
    assert first == pytest.approx(0.75)
    assert second == pytest.approx(0.5)


def test_two_numbers_in_one_token_have_the_alternatives_that_begin_alike() -> None:
    pair = ("1,0", {"1,0": 0.5, "1,1": 0.25, "0,1": 0.25})
    found = expectations(reply('{"fires":[', pair, "]}"), "fires", [1, 0], 1)
    assert found == (pytest.approx(0.75), pytest.approx(1 / 3))


def test_of_a_decision_it_is_the_share_of_yes() -> None:
    whole = reply('{"fires":[', ("1", {"1": 0.6, "0": 0.15, "2": 0.25}), "]}")
    assert expectations(whole, "fires", [1], 1) == (pytest.approx(0.8),)


def test_numbers_beside_the_list_do_not_count() -> None:
    sure = '{"activations": [9]} No, 3 tokens: '
    whole = reply(sure, '{"activations"', ": [", ("7", {"7": 0.5, "5": 0.5}), "]} 10")
    assert expectations(whole, "activations", [7], 10) == (6.0,)


@pytest.mark.parametrize("said", [[4], [3, 4], []])
def test_tokens_that_tell_of_other_numbers_are_left_alone(said: Sequence[int]) -> None:
    assert expectations(reply('{"activations": [3]}'), "activations", said, 10) is None


@pytest.mark.parametrize(
    "strange",
    [
        Reply('{"activation": 3}', "stop", None),
        Reply('{"activation": 3}', "stop", ()),
        reply("nothing of the sort"),
        reply('{"activation": "3"}'),
        reply('{"activation": 3.0}'),
        reply('{"activation": 03}'),
        reply('{"activation": ' + "3" * 5000 + "}"),
    ],
    ids=range(7),
)
def test_without_usable_log_probabilities_there_is_none(strange: Reply) -> None:
    assert expectations(strange, "activation", [3], 10) is None


def test_a_number_without_any_possible_alternative_has_no_expected_value() -> None:
    token = TokenLogprobs("3", {})
    whole = Reply("", "stop", (TokenLogprobs('{"activation": ', {}), token))
    assert expectations(whole, "activation", [3], 10) is None


def test_an_empty_list_has_no_numbers_and_is_no_failure() -> None:
    assert expectations(reply('{"activations": []}'), "activations", [], 10) == ()


@pytest.mark.parametrize("text", ['{"activations": [0, 10, 7]}', '{"activations":[0,10,7]}'])
def test_what_the_loopback_server_says_is_read(text: str) -> None:
    told = reported({"content": logprobs_of(text, 20)})
    found = expectations(Reply(text, "stop", told), "activations", [0, 10, 7], 10)
    # Its n-th nearest number has probability 2**-n, the one that it says 2**-1.
    nearest = {
        0: range(11),
        10: range(10, -1, -1),
        7: (7, 6, 8, 5, 9, 4, 10, 3, 2, 1, 0),
    }
    for value, said in zip(found or (), (0, 10, 7), strict=True):
        shares = [2.0**-n for n in range(1, 12)]
        mean = sum(v * s for v, s in zip(nearest[said], shares, strict=True)) / sum(shares)
        assert value == pytest.approx(mean, abs=1e-4)
    assert json.loads(text)["activations"] == [0, 10, 7]
