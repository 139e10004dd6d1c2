from __future__ import annotations

import pytest

from sparktrends.bars.conditions import moves_prices


@pytest.mark.parametrize("code", ["W", "B", "4", "C", "N", "7"])
def test_tape_codes_that_move_no_price(code):
    assert not moves_prices("tape", ["F", code])
    assert not moves_prices("tape~replay", [code])


@pytest.mark.parametrize("codes", [[], ["F"], ["I"], ["T"], ["unheard of"]])
def test_all_other_codes_do(codes):
    assert moves_prices("tape", codes)


def test_codes_belong_to_their_source():
    assert moves_prices("binance", ["W"])
