"""The user's own function gives the data from a child process, whatever it does there."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edgepipe.errors import DataError
from edgepipe.pipeline import data


def write(folder: Path, body: str, name: str = "mydata.py") -> None:
    (folder / name).write_text(f"import numpy as np\n{body}\n")


def refusal(folder: Path, spec: str, timeout_s: float = 60) -> str:
    with pytest.raises(DataError) as caught:
        data.load(spec, base=folder, timeout_s=timeout_s)
    return str(caught.value)


@pytest.mark.parametrize(
    ("returned", "inputs"),
    [
        ("np.ones((3, 2), np.float32), [0, 1, 2]", ["x"]),
        ("{'x': np.ones((3, 2)), 'y': np.arange(3)}", ["x"]),
        ("{'file': np.ones((3, 2)), 'self': np.ones((3, 1))}, ('0', '1', '2')", ["file", "self"]),
        ("{'a/b': np.ones((3, 2)), 'labels': (0, 1, 2)}", ["a/b"]),
    ],
)
def test_tuples_and_dicts_of_arrays_are_taken(tmp_path: Path, returned: str, inputs: list[str]) -> None:
    write(tmp_path, f"def load():\n    return {returned}")
    loaded = data.load("mydata:load", base=tmp_path)
    assert list(loaded.inputs) == inputs
    assert loaded.labels is not None and loaded.labels.tolist() == [0, 1, 2]
    assert loaded.source == "mydata:load"


def test_samples_without_labels_are_taken(tmp_path: Path) -> None:
    write(tmp_path, "def load():\n    return np.ones((3, 2))")
    assert data.load("mydata:load", base=tmp_path).labels is None


def test_it_runs_elsewhere_in_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "numbers.txt").write_text("4")
    write(tmp_path, "import os\ndef load():\n    return np.full((1, 2), [os.getpid(), int(open('numbers.txt').read())])")
    assert data.load("mydata:load", base=tmp_path).inputs["x"][0, 1] == 4
    assert data.load("mydata:load", base=tmp_path).inputs["x"][0, 0] != os.getpid()
    assert "mydata" not in sys.modules


def test_a_users_file_does_not_hide_the_standard_library_from_us(tmp_path: Path) -> None:
    (tmp_path / "zipfile.py").write_text("raise SystemExit('the wrong zipfile')")
    write(tmp_path, "def load():\n    return np.ones((3, 2))")
    assert data.load("mydata:load", base=tmp_path).samples == 3


def test_a_users_file_goes_before_an_installed_package_of_the_same_name(tmp_path: Path) -> None:
    write(tmp_path, "def load():\n    return np.ones((5, 2))", name="iniconfig.py")
    assert data.load("iniconfig:load", base=tmp_path).samples == 5


def test_prints_are_kept_from_our_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "def load():\n    print('x' * 3_000_000)\n    return np.ones((3, 2))")
    assert data.load("mydata:load", base=tmp_path).samples == 3
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("body", "complaints"),
    [
        ("    print('\\x1b[31mhalf way')\n    raise KeyError('weights')", ["half way", "KeyError: 'weights'", "exit code 1"]),
        ("    raise SystemExit(3)", ["exit code 3"]),
        ("    import os\n    os._exit(0)", ["did not return data", "exit code 0"]),
        ("    import os, signal\n    os.kill(os.getpid(), signal.SIGSEGV)", ["killed by SIGSEGV"]),
        ("    return [1, [2, 3]]", ["whose rows differ in length"]),
        ("    return None", ["must return (x, y) or a dict of arrays", "NoneType"]),
        ("    return {3: np.ones(3)}", ["must return (x, y) or a dict"]),
        ("    return np.array([object()])", ["must return (x, y) or a dict"]),
        ("    return (i for i in range(3))", ["generator"]),
        ("    return {'y': np.ones(3)}", ["holds no input, only labels"]),
    ],
)
def test_a_function_that_does_not_return_data_shows_its_last_words(tmp_path: Path, body: str, complaints: list[str]) -> None:
    write(tmp_path, f"def load():\n{body}")
    message = refusal(tmp_path, "mydata:load")
    assert all(part in message for part in complaints), message
    assert "\x1b" not in message


def test_only_the_last_lines_are_shown(tmp_path: Path) -> None:
    write(tmp_path, "def load():\n    for k in range(10_000):\n        print('line', k)\n    raise SystemExit(1)")
    message = refusal(tmp_path, "mydata:load")
    assert "line 9999" in message
    assert message.count("line ") == 10


def test_a_function_that_hangs_is_stopped_with_its_children(tmp_path: Path) -> None:
    body = "import subprocess, time\ndef load():\n    child = subprocess.Popen(['sleep', '1000'])\n"
    write(tmp_path, body + "    open('pid', 'w').write(str(child.pid))\n    print('waiting', flush=True)\n    time.sleep(1000)")
    message = refusal(tmp_path, "mydata:load", timeout_s=4)
    assert "stopped after 4 s" in message
    assert "waiting" in message
    deadline = time.monotonic() + 10
    while _runs(int((tmp_path / "pid").read_text())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(int((tmp_path / "pid").read_text()))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_wrong_name_gets_a_suggestion(tmp_path: Path) -> None:
    write(tmp_path, "number = 3\ndef load_train():\n    return np.ones(3)")
    assert 'has no function "load_trian". Perhaps you meant "load_train"?' in refusal(tmp_path, "mydata:load_trian")
    assert "there is no module mydta" in refusal(tmp_path, "mydta:load_train")
    assert "is a int, not a function" in refusal(tmp_path, "mydata:number")
    assert "is not a folder" in refusal(tmp_path / "nowhere", "mydata:load")


def test_an_import_missing_in_the_users_module_is_the_users_traceback(tmp_path: Path) -> None:
    write(tmp_path, "import no_such_package\ndef load():\n    return np.ones(3)")
    message = refusal(tmp_path, "mydata:load")
    assert "No module named 'no_such_package'" in message
    assert "mydata.py" in message


def test_nothing_is_left_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    write(tmp_path, "def load():\n    return np.ones((3, 2))")
    np.testing.assert_array_equal(data.load("mydata:load", base=tmp_path).inputs["x"], np.ones((3, 2)))
    assert list((tmp_path / "tmp").iterdir()) == []
