"""What a Raspberry Pi 5's power management chip says: rails that have both a voltage and a current are summed, the others named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest

from edgepipe.devices.connect import connect_meter
from edgepipe.devices.inventory import DeviceEntry, LocalLink
from edgepipe.devices.power.meter import MeterFacts, PowerMeter
from edgepipe.devices.power.pi5_pmic import Pi5Pmic, rails
from edgepipe.errors import MeterMissing

SOON = 20.0
RAILS = {"3V7_WL_SW": (3.7, 0.1), "3V3_SYS": (3.3, 0.06), "DDR_VDDQ": (0.6, 0.0), "VDD_CORE": (0.8, 1.5), "HDMI": (5.1, 0.01)}
WATTS = sum(volts * amps for volts, amps in RAILS.values())


def told(rails: dict[str, tuple[float, float]], *, volts: float = 5.1) -> str:
    """Return what vcgencmd prints of some rails, the currents first, and of the two inputs that have a voltage only."""
    lines = [f"{name + '_A':>13} current({number})={amps:.8f}A" for number, (name, (_, amps)) in enumerate(rails.items())]
    lines += [f"{name + '_V':>13} volt({number})={volt:.8f}V" for number, (name, (volt, _)) in enumerate(rails.items(), 8)]
    return "\n".join([*lines, f"{'EXT5V_V':>13} volt(24)={volts:.8f}V", f"{'BATT_V':>13} volt(25)=0.00000000V", ""])


@pytest.fixture
def vcgencmd(agent_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A vcgencmd of this test's own, which prints what is in its file."""
    folder, answer = tmp_path / "bin", tmp_path / "answer"
    folder.mkdir()
    (folder / "vcgencmd").write_text(f'#!/bin/sh\n[ "$1" = pmic_read_adc ] && exec /bin/cat {answer}\nexit 2\n')
    (folder / "vcgencmd").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    answer.write_text(told(RAILS))
    return answer


@pytest.fixture
def opened(vcgencmd: Path) -> Iterator[tuple[PowerMeter, MeterFacts]]:
    with ExitStack() as held:
        meter = held.enter_context(closing(connect_meter(board(), {})))
        yield meter, meter.open()


def board() -> DeviceEntry:
    return DeviceEntry(name="pi5", board="linux", target="pi", transport=LocalLink(), power=Pi5Pmic())


def test_the_rails_with_voltage_and_current_are_summed_and_the_others_named() -> None:
    found = rails(told(RAILS))
    assert found.watts == pytest.approx(WATTS)
    assert found.volts == 5.1
    assert found.uncovered == ("BATT", "EXT5V")


@pytest.mark.parametrize(
    "text", ["", "vc_gencmd_read_response returned -1", "EXT5V_V volt(24)=5.1V", told(RAILS).replace("EXT5V", "X")]
)
def test_an_answer_without_rails_is_another_boards(text: str) -> None:
    with pytest.raises(MeterMissing, match="nothing of a Raspberry Pi 5's rails"):
        rails(text)


def test_a_line_whose_unit_is_not_its_names_counts_for_nothing() -> None:
    text = told(RAILS).replace("VDD_CORE_A current(3)=1.50000000A", "VDD_CORE_A current(3)=1.50000000V")
    found = rails(text)
    assert found.watts == pytest.approx(WATTS - 0.8 * 1.5)
    assert "VDD_CORE" in found.uncovered


def test_it_is_read_on_the_board_and_says_so_and_what_it_may_be_wrong_by(opened: tuple[PowerMeter, MeterFacts]) -> None:
    meter, facts = opened
    samples = meter.read(deadline_s=SOON)
    while samples.time_s.size < 2:
        samples = meter.read(deadline_s=SOON)
    assert facts.self_measured and not facts.drops_detectable
    assert samples.volts * samples.amps == pytest.approx(WATTS)
    assert (np.diff(samples.time_s) > 0).all()
    assert facts.errors.gain > 0.1 and "no datasheet" in facts.errors.source
    assert "USB" in facts.errors.source and "EXT5V" in facts.errors.source


def test_another_board_has_no_such_chip(vcgencmd: Path) -> None:
    vcgencmd.write_text('error=1 error_msg="Command not registered"\n')
    with closing(connect_meter(board(), {})) as meter, pytest.raises(MeterMissing, match="Command not registered") as caught:
        meter.open()
    assert "another board" in caught.value.cause


def test_a_board_without_vcgencmd_is_told_by_that(vcgencmd: Path) -> None:
    (vcgencmd.parent / "bin" / "vcgencmd").unlink()
    with closing(connect_meter(board(), {})) as meter, pytest.raises(MeterMissing, match=r"vcgencmd: No such file"):
        meter.open()
