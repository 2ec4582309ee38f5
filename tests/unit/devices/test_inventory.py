"""An inventory becomes boards, or one error with everything that is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgepipe.devices.inventory import (
    BUILT_IN,
    FakeLink,
    LocalLink,
    QemuLink,
    SerialLink,
    SigningEntry,
    SshLink,
    load_inventory,
    read_inventory,
)
from edgepipe.devices.power.hwmon import HwMon
from edgepipe.errors import InventoryError

ROOT = Path(__file__).parents[3]
DESIGN_EXAMPLE = """
schema: 1
defaults: {blocks: 7}
devices:
  local:       {board: linux, target: host, transport: {kind: local}}
  pi4:         {board: linux, target: pi, labels: {lab: a},
                transport: {kind: ssh, host: pi4.lab, user: edge, port: 22, key: ~/.ssh/id_ed25519, host_key: "ssh-ed25519 AAAA"},
                power: {meter: hwmon, via: meterhost, chip: ina226, shunt_ohm: 0.1}}
  mcu-m4:      {board: mcu, target: mcu, hardware: nucleo-l4r5zi, flash: {tool: pyocd},
                transport: {kind: serial, by_id: usb-1, baud: 921600}}
  mcu-m4-qemu: {board: mcu, target: mcu, transport: {kind: qemu, machine: mps2-an386}, emulated: true}
  ghost:       {board: fake, target: host, transport: {kind: fake, faults: [dead]}}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "farm_inventory.yaml"
    path.write_text(text)
    return path


def problems_of(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(InventoryError) as raised:
        read_inventory(write(folder, text))
    return raised.value.problems


def test_every_kind_of_board_in_the_design_is_understood(tmp_path: Path) -> None:
    farm = read_inventory(write(tmp_path, DESIGN_EXAMPLE))
    links = [type(entry.transport) for entry in farm.devices.values()]
    assert links == [LocalLink, SshLink, SerialLink, QemuLink, FakeLink]
    assert farm.defaults.blocks == 7
    assert farm.devices["pi4"].labels == {"lab": "a"}
    assert farm.devices["mcu-m4-qemu"].emulated


def test_the_sample_in_the_repository_works_as_it_stands() -> None:
    farm = read_inventory(ROOT / "farm_inventory.yaml")
    assert farm.devices == dict(BUILT_IN.devices)


def test_the_commented_boards_of_the_sample_are_right_too(tmp_path: Path) -> None:
    lines = (ROOT / "farm_inventory.yaml").read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("  # pi4:"))
    farm = read_inventory(
        write(tmp_path, "\n".join(lines[:at] + [line.replace("  # ", "  ", 1).rstrip("#") for line in lines[at:]]))
    )
    assert list(farm.devices) == ["local", "mcu-m4-qemu", "pi4", "coral-dev", "mcu-m4"]


def test_all_problems_are_told_at_once_each_with_its_device_and_a_suggestion(tmp_path: Path) -> None:
    problems = problems_of(
        tmp_path,
        """
schema: 1
devices:
  a: {board: linux, target: host, transport: {kind: locl}}
  b: {board: linux, target: host, transport: {kind: ssh, hots: pi, user: me, host_key: k}, lables: {x: y}}
  c: {board: toaster, target: host, transport: {kind: local}}
  d: {board: mcu, target: mcu, transport: {kind: qemu, machine: mps2-an368}}
""",
    )
    text = "\n".join(problems)
    assert 'devices.a.transport: unknown kind "locl". Perhaps you meant "local"?' in text
    assert 'devices.b.transport: unknown key "hots". Perhaps you meant "host"?' in text
    assert 'devices.b.transport: "host" is missing' in text
    assert 'devices.b: unknown key "lables". Perhaps you meant "labels"?' in text
    assert 'devices.d.transport: there is no machine "mps2-an368". Perhaps you meant "mps2-an386"?' in text
    assert 'devices.c: "board"' in text


@pytest.mark.parametrize(
    ("power", "problem"),
    [
        ("{meter: hwmonn, chip: ina226}", 'devices.a.power: unknown meter "hwmonn". Perhaps you meant "hwmon"?'),
        ("{chip: ina226}", "devices.a.power: power needs a meter. Known here: "),
        ("hwmon", "devices.a.power: power needs a meter. Known here: "),
        ("{meter: hwmon, chip: ina226, shunt: 0.1}", 'devices.a.power: unknown key "shunt". Perhaps you meant "shunt_ohm"?'),
        ("{meter: hwmon, chip: ina226, shunt_ohm: -1}", 'devices.a.power: "shunt_ohm"'),
        ("{meter: hwmon, chip: ina226, least_w: .inf}", 'devices.a.power: "least_w"'),
    ],
)
def test_what_is_wrong_with_a_meter_is_told_with_what_else_is_wrong(tmp_path: Path, power: str, problem: str) -> None:
    device = f"{{board: linux, target: host, transport: {{kind: local}}, lables: {{}}, power: {power}}}"
    told = problems_of(tmp_path, f"schema: 1\ndevices: {{a: {device}}}\n")
    assert told[0].startswith(problem)
    assert "lables" in told[1]


def test_a_meter_keeps_its_settings(tmp_path: Path) -> None:
    power = read_inventory(write(tmp_path, DESIGN_EXAMPLE)).devices["pi4"].power
    assert power == HwMon(via="meterhost", chip="ina226", shunt_ohm=0.1)


def test_the_meters_in_the_documentation_are_written_as_they_are_read(tmp_path: Path) -> None:
    lines = [line for line in (ROOT / "docs/power.md").read_text().splitlines() if line.startswith("power: {")]
    assert len(lines) >= 4
    devices = "\n".join(
        f"  d{number}: {{board: linux, target: host, transport: {{kind: local}}, {line}}}" for number, line in enumerate(lines)
    )
    read = read_inventory(write(tmp_path, f"schema: 1\ndevices:\n{devices}\n")).devices.values()
    assert [entry.power.meter for entry in read if entry.power] == [line.split()[2].rstrip(",") for line in lines]


def test_a_device_that_is_no_map_hides_no_other_mistake(tmp_path: Path) -> None:
    local = "board: linux, target: host, transport: {kind: local}"
    text = f"schema: 1\ndevices:\n  a: linux\n  3: {{{local}}}\n  b: {{{local}, clock_mhz: .nan}}\n  c: {{{local}, clock: 1}}\n"
    problems = problems_of(tmp_path, text)
    assert [problem.partition(":")[0] for problem in problems] == ["devices.a", "devices.3", "devices.b", "devices.c"]
    assert 'write "3" in quotes' in problems[1]


@pytest.mark.parametrize("wrong", ["port: 0", "port: 65536", 'host: ""', 'user: ""'])
def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path, wrong: str) -> None:
    link = {"kind": "ssh", "host": "pi", "user": "me", "host_key": "k", **dict([wrong.split(": ")])}
    written = ", ".join(f"{key}: {value}" for key, value in link.items())
    (problem,) = problems_of(tmp_path, f"schema: 1\ndevices: {{a: {{board: linux, target: pi, transport: {{{written}}}}}}}\n")
    assert f'devices.a.transport: "{wrong.partition(":")[0]}"' in problem


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("by_id: usb-1, url: 'socket://lab:4000'", 'devices.a.transport: a serial line has one of "by_id"'),
        ("baud: 9600", 'devices.a.transport: a serial line has one of "by_id"'),
        ("url: 'socket://lab'", 'devices.a.transport: "url"'),
        ("url: 'socket://lab:65536'", 'devices.a.transport: "url": its port must be from 1 to 65535'),
        ("url: 'rfc2217://lab:4000?logging=debug'", 'devices.a.transport: "url"'),
        ("url: 'http://lab:4000'", 'devices.a.transport: "url"'),
        ("by_id: usb-1, baud: 0", 'devices.a.transport: "baud"'),
        ("urll: 'socket://lab:4000'", 'devices.a.transport: unknown key "urll". Perhaps you meant "url"?'),
    ],
)
def test_a_serial_line_is_one_of_this_machine_or_of_another(tmp_path: Path, link: str, problem: str) -> None:
    (told,) = problems_of(
        tmp_path, f"schema: 1\ndevices: {{a: {{board: mcu, target: mcu, transport: {{kind: serial, {link}}}}}}}\n"
    )
    assert told.startswith(problem)


def test_what_only_a_microcontroller_has_is_refused_elsewhere(tmp_path: Path) -> None:
    local = "board: linux, target: host, transport: {kind: local}"
    text = f"schema: 1\ndevices: {{a: {{{local}, protocol: mlperf-tiny, board_id: x, energy_mode: true}}}}\n"
    assert problems_of(tmp_path, text) == tuple(
        f'devices.a: "{key}" is for microcontrollers (board: mcu)' for key in ("board_id", "protocol", "energy_mode")
    )
    (problem,) = problems_of(tmp_path, f"schema: 1\ndevices: {{a: {{{local}, protocol: mlperf}}}}\n")
    assert "'edgepipe' or 'mlperf-tiny'" in problem


def test_a_firmware_in_energy_mode_is_at_its_own_rate(tmp_path: Path) -> None:
    text = (
        "schema: 1\ndevices: {a: {board: mcu, target: mcu, energy_mode: true, transport: {kind: serial, by_id: usb-1, baud: %d}}}\n"
    )
    (problem,) = problems_of(tmp_path, text % 115_200)
    assert problem == "devices.a: energy_mode is at 9600 baud, not 115200; write baud: 9600 into its transport"
    path = tmp_path / "right.yaml"
    path.write_text(text % 9600)
    assert read_inventory(path).devices["a"].firmware_flags == ("-DEDGEPIPE_ENERGY_MODE",)


def test_no_blocks_at_all_are_refused_where_they_are_written(tmp_path: Path) -> None:
    local = "{board: linux, target: host, transport: {kind: local}}"
    assert '"defaults.blocks"' in problems_of(tmp_path, f"schema: 1\ndefaults: {{blocks: 0}}\ndevices: {{a: {local}}}\n")[0]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("schema: 2\ndevices: {}\n", "schema"),
        ("schema: 1\n", "devices"),
        ("schema: 1\ndevices: {}\n", "names no board"),
        ("schema: 1\ndevices: {a: {board: linux, target: host}}\n", "transport"),
        ("schema: 1\ndevices: {a: 5}\n", "devices.a"),
        ("schema: 1\ndevices: {'a;b': {board: linux, target: host, transport: {kind: local}}}\n", "a name is made of letters"),
        ("schema: 1\ndevices: {a: {board: linux, target: host, transport: 5}}\n", "a transport needs a kind"),
        ("schema: 1\ndevices: {a: {board: linux, target: host, transport: {kind: [ssh]}}}\n", "a transport needs a kind"),
        ("schema: 1\ndevices: {a: {name: b, board: linux, target: host, transport: {kind: local}}}\n", 'unknown key "name"'),
    ],
)
def test_an_incomplete_inventory_is_refused(tmp_path: Path, text: str, word: str) -> None:
    assert word in "\n".join(problems_of(tmp_path, text))


def test_a_repeated_device_is_an_error(tmp_path: Path) -> None:
    device = "{board: linux, target: host, transport: {kind: local}}"
    with pytest.raises(InventoryError, match=r'found duplicate key "a" \(line 4, column 3\)'):
        read_inventory(write(tmp_path, f"schema: 1\ndevices:\n  a: {device}\n  a: {device}\n"))


def test_the_argument_comes_before_the_environment_before_the_folder_before_the_users_own(tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in ("argument", "environment", "folder", "config/edgepipe")}
    for name, place in places.items():
        place.mkdir(parents=True)
        write(
            place, f"schema: 1\ndevices: {{{name.partition('/')[0]}: {{board: linux, target: host, transport: {{kind: local}}}}}}\n"
        )
    config = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    named = {**config, "EDGEPIPE_INVENTORY": str(places["environment"] / "farm_inventory.yaml")}
    argument = places["argument"] / "farm_inventory.yaml"
    assert list(load_inventory(argument, environment=named, folder=places["folder"]).devices) == ["argument"]
    assert list(load_inventory(environment=named, folder=places["folder"]).devices) == ["environment"]
    assert list(load_inventory(environment=config, folder=places["folder"]).devices) == ["folder"]
    assert list(load_inventory(environment=config, folder=tmp_path).devices) == ["config"]


def test_without_any_file_there_is_this_machine(tmp_path: Path) -> None:
    assert load_inventory(environment={"HOME": str(tmp_path)}, folder=tmp_path) is BUILT_IN


def test_a_named_inventory_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="cannot read"):
        load_inventory(environment={"EDGEPIPE_INVENTORY": str(tmp_path / "none.yaml")}, folder=tmp_path)


def test_whose_signatures_count_is_said_for_all_boards_or_for_one(tmp_path: Path) -> None:
    text = """
schema: 1
defaults: {signing: {signers: ["ssh-ed25519 AAAA all"]}}
devices:
  local: {board: linux, target: host, transport: {kind: local}}
  other: {board: linux, target: host, transport: {kind: local}, signing: {key: ~/.ssh/edgepipe_signing, valid_days: 30}}
"""
    devices = read_inventory(write(tmp_path, text)).devices
    assert devices["local"].signing == SigningEntry(signers=("ssh-ed25519 AAAA all",))
    assert devices["other"].signing == SigningEntry(key="~/.ssh/edgepipe_signing", valid_days=30)
    (problem,) = problems_of(tmp_path, text.replace("valid_days", "valid_day"))
    assert 'Perhaps you meant "valid_days"?' in problem
