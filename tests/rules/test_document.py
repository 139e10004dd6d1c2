"""The file: every fault with its line and column."""

from __future__ import annotations

import pytest

from sparktrends.errors import BadFile, BadSetting
from sparktrends.rules import Rules, check
from sparktrends.rules.document import read_rules

GOOD = """
[[rule]]
name = "one"
when = "close > 5"

[[rule]]
name = "two"   # a comment
when = 'rsi_14 > 70'
for = 3
"""

FAULTS = [
    ('[[rule]]\nname = "x"\nwhen = "close > rsi14"', "3:17", "did you mean rsi_14"),
    ('[[rule]]\nname = "x"\n\nwhen = """\nclose > 1\n  and vol > 2"""', "6:7", "unknown name vol"),
    ('[[rule]]\nname = "x"', "1:9", "needs when"),
    ('[[rule]]\nname = "x"\nwhen = 5', "3:1", "when must be text"),
    ('[[rule]]\nname = "X Y"\nwhen = "close > 5"', "2:9", "a name is"),
    ('[[rule]]\nname = "x"\nwehn = "close > 5"', "3:1", "did you mean when"),
    ('[[rule]]\nname = "x"\nwhen = "close > 5"\nfor = 0', "4:1", "from 1 to 10000"),
    ('[[rule]]\nname = "x"\nwhen = "close > 5"\nfor = 2.5', "4:1", "whole number"),
    ('[[rule]]\nname = "x"\nwhen = "close > 5"\nfor = true', "4:1", "whole number"),
    ('[[rule]]\nname = "x"\nwhen = "close > 5"\ncooldown = "15"', "4:13", 'like "15m"'),
    ('[[rule]]\nname = "x"\nwhen = "close > 5"\ncooldown = "31d"', "4:13", "at most"),
    ('[[rule]]\nname = "x"\nwhen = "close > 5"\ninterval = "2m"', "4:13", "one of 1m, 5m"),
    ('[[rule]]\nname = "x"\nwhen = "close > 5"\nseverity = "bad"', "4:13", "one of info"),
    ('[[rule]]\nname = "x"\nwhen = "close > 5"\nsymbols = []', "4:1", "one or more"),
    ('[[rule]]\nname = "x"\nwhen = "close > 5"\nchannels = [1]', "4:1", "texts"),
    ('[[rule]]\nname = "x"\nwhen = "close > 5"\nhistory = "yes"', "4:12", "true or false"),
    ('[[rule]]\nname = "x"\nwhen = "close > 5"\nuntil = "clos < 3"', "4:10", "did you mean close"),
    ('[[rule]]\nname = "x"\nwhen = "close > 5"\ninterval = "1h"\nunless_market = true', "5:1", "explains no bar of 1h"),
    ('[[rule]]\nname = "x"\nwhen = "close > 5"\ntitle = "{closse}"', "4:10", "unknown field"),
    (
        '[[rule]]\nname = "x"\nwhen = "close > 5"\n[[rule]]\nname = "x"\nwhen = "close > 6"',
        "5:9",
        "has this name already",
    ),
    ('[[rule]]\nname = "x"\nwhen = close > 5', "3:8", "not TOML"),
    ('[[rules]]\nname = "x"', "1:1", "did you mean rule"),
    ("rule = 5", "1:1", r"tables \[\[rule\]\]"),
    ("", "1:1", "no \\[\\[rule\\]\\] in it"),
    ('rule = [{name = "x", when = "clos > 5"}]', "1:1", "did you mean close"),
]


@pytest.mark.parametrize(("text", "place", "message"), FAULTS)
def test_a_fault_is_told_with_its_place(names, text, place, message):
    with pytest.raises(BadSetting, match=message) as caught:
        Rules.parse(text, names, "my.toml")
    assert f"my.toml:{place}: " in str(caught.value)


def test_every_fault_is_told_at_once_and_good_rules_survive(names):
    text = GOOD + '\n[[rule]]\nname = "three"\nwhen = "x > 1"\n[[rule]]\nname = "four"\nwhen = "close"\n'
    rules, findings = read_rules(text, names, "f")
    assert [rule.name for rule in rules] == ["one", "two"]
    assert [(finding.line, finding.rule) for finding in findings] == [(13, "three"), (16, "four")]


def test_a_table_in_a_comment_or_a_text_does_not_shift_places(names):
    text = '# [[rule]]\n[[rule]]\nname = "x"\ndescription = "[[rule]]"\nwhen = "closee > 5"'
    assert read_rules(text, names, "f")[1][0].line == 5


def test_check_tells_what_is_wrong(tmp_path, names):
    file = tmp_path / "my.toml"
    file.write_text(GOOD)
    assert check(file, names) == []
    file.write_text(GOOD.replace("rsi_14", "rsi_41"))
    assert [str(finding) for finding in check(file, names)] == [
        f"{file}:8:9: rule two: unknown name rsi_41 (did you mean rsi_14?)"
    ]


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"#" * 1_000_001])
def test_what_is_no_text_file_is_said_so(tmp_path, names, content):
    file = tmp_path / "my.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadFile, match=r"my\.toml"):
        check(file, names)


def test_endless_nesting_of_toml_is_refused(names):
    assert read_rules("a = " + "[" * 100_000, names, "f")[1]
