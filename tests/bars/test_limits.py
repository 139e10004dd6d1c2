from __future__ import annotations

import pytest

from sparktrends.bars.limits import BATCH_PAYLOADS, Limits
from sparktrends.errors import BadSetting
from sparktrends.model import DAY


@pytest.mark.parametrize("wrong", [{"grace": -1}, {"settle": 4000 * DAY}, {"graces": (("a", -5),)}])
def test_limits_outside_reason_are_refused(wrong):
    with pytest.raises(BadSetting):
        Limits(**wrong)


def test_partitions_share_the_room_for_payloads():
    assert Limits().shared_by(4).payloads == BATCH_PAYLOADS // 4
    assert Limits().shared_by(0).payloads == BATCH_PAYLOADS
