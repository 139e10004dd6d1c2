"""A rules file that changes while it is used."""

from __future__ import annotations

import os

import pytest

from sparktrends.errors import BadFile, BadSetting
from sparktrends.rules import RulesFile

GOOD = '[[rule]]\nname = "{}"\nwhen = "close > 1"\ntitle = "x"\n'


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(GOOD.format("one"))
    return path


def test_it_is_read_again_when_it_has_changed_and_only_then(file, names):
    used = RulesFile(file, names)
    first = used.look()
    assert used.look() is first
    file.write_text(GOOD.format("other"))
    assert [rule.name for rule in used.look().rules] == ["other"]
    assert used.look() is used.look()


@pytest.mark.parametrize("content", ["[[rule]]\n", "not toml", "\udcff", None])
def test_a_file_with_faults_changes_nothing_and_says_so(file, names, content):
    used = RulesFile(file, names)
    first = used.look()
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert used.look() is first
    assert str(file) in used.fault
    file.write_text(GOOD.format("mended"))
    assert [rule.name for rule in used.look().rules] == ["mended"]
    assert used.fault == ""


def test_a_file_of_the_same_size_at_the_same_time_is_another_when_it_was_put_in_its_place(file, names):
    used, before = RulesFile(file, names), file.stat()
    beside = file.with_name("new.toml")
    beside.write_text(GOOD.format("two"))
    os.utime(beside, ns=(before.st_atime_ns, before.st_mtime_ns))
    beside.replace(file)
    assert [rule.name for rule in used.look().rules] == ["two"]


def test_without_a_path_the_shipped_rules_are_used_for_ever(names):
    from sparktrends.indicators import Kernel
    from sparktrends.rules import Names

    kernel = Kernel()
    scores = {f"anomaly.{name}": 4.0 for name in ("price_move", "surge", "volume_spike")}
    used = RulesFile(None, Names(kernel.columns, scores))
    assert used.look() is used.look()
    assert used.rules.rules


def test_at_first_faults_are_refused(file, names):
    with pytest.raises(BadFile):
        RulesFile(file.with_name("absent.toml"), names)
    file.write_text("[[rule]]\n")
    with pytest.raises(BadSetting):
        RulesFile(file, names)
