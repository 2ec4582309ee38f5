"""A power that no board of its kind can take is a wrong shunt's."""

from __future__ import annotations

import pytest

from edgepipe.devices.power.hwmon import HwMon
from edgepipe.devices.power.plausible import AMPERES, believable

PI4 = "Raspberry Pi 4 Model B Rev 1.5"
SETTINGS = HwMon(chip="ina226", shunt_ohm=0.02)


def test_a_shunt_taken_for_another_is_out_of_what_a_pi_4_can_take_whichever_way() -> None:
    limits = believable(SETTINGS, PI4)
    assert limits.least_w is not None and limits.most_w is not None
    for idle_w, busy_w in ((2.5, 6.4), (3.06, 6.1)):  # headless, and by its maker
        assert limits.least_w < idle_w < busy_w < limits.most_w
        for times in (0.1, 0.2, 5.0, 10.0):  # what is soldered in over what is reckoned with
            assert idle_w * times < limits.least_w or busy_w * times > limits.most_w


def test_what_the_inventory_says_comes_first() -> None:
    own = HwMon(chip="ina226", least_w=0.01, most_w=40.0)
    assert believable(own, PI4) == own


@pytest.mark.parametrize("model", ["", "unknown", "AMD EPYC", "Raspberry Pi 6 Model B"])
def test_of_other_boards_nothing_is_known(model: str) -> None:
    assert believable(SETTINGS, model) == SETTINGS


def test_a_zero_2_is_not_taken_for_a_zero() -> None:
    assert believable(SETTINGS, "Raspberry Pi Zero 2 W Rev 1.0").most_w == pytest.approx(2.0 * 5.1)
    assert believable(SETTINGS, "Raspberry Pi Zero W Rev 1.1").most_w == pytest.approx(1.2 * 5.1)
    assert all(idle_a < most_a for idle_a, most_a in AMPERES.values())
