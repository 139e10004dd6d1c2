"""Settings: which of several wins, what an address means, and what is refused with a sentence."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparktrends.errors import BadSetting
from sparktrends.ops.analysing import candlesticks_of
from sparktrends.ops.checking import require_good_settings
from sparktrends.ops.commands.serving import api_config
from sparktrends.ops.settings import Settings, load, port_number, quoted

THEIRS = {"POSTGRES_HOST": "db", "POSTGRES_SSLMODE": "require"}
PORTS = {"postgres": 5434, "kafka": 9094, "api": 8000}


def made(folder: Path, dotenv: str = "", toml: str = "", **env: str) -> Settings:
    for name, text in ((".env", dotenv), ("sparktrends.toml", toml)):
        if text:
            (folder / name).write_text(text)
            (folder / name).chmod(0o600)
    return load(env, folder, folder / "home")


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    found = made(tmp_path, "POSTGRES_DB=one\nPOSTGRES_USER=u\n", POSTGRES_DB="two")
    assert (found.get("POSTGRES_DB"), found.get("POSTGRES_USER"), found.get("SPARK_MASTER")) == ("two", "u", "")


def test_an_env_file_is_read_as_people_write_it(tmp_path: Path) -> None:
    text = '# mine\n\nexport FINNHUB_API_KEY = "a=b#c"\nSLACK_WEBHOOK=\'https://x\'\nOTHER=1\nPOSTGRES_PASSWORD="\n'
    found = made(tmp_path, text)
    assert found.get("FINNHUB_API_KEY") == "a=b#c"
    assert found.get("SLACK_WEBHOOK") == "https://x"
    assert found.get("POSTGRES_PASSWORD") == '"'
    assert "OTHER" not in found.values


def test_an_env_file_is_read_as_other_programs_read_it(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "\ufeffPOSTGRES_DB=mine # of the firm\nSLACK_WEBHOOK=   # fill in\n"
        "FINNHUB_API_KEY='a #b'  # quoted\nSPARKTRENDS_HOME=~/st\n",
        "utf-8",
    )
    (tmp_path / ".env").chmod(0o600)
    found = load({"HOME": str(tmp_path)}, tmp_path)
    assert (found.get("POSTGRES_DB"), found.get("SLACK_WEBHOOK")) == ("mine", "")
    assert found.get("FINNHUB_API_KEY") == "a #b"
    assert found.home == Path.home() / "st"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"])))
def test_a_value_that_is_written_out_reads_back(value: str) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / ".env").write_text(f"POSTGRES_DB={quoted(value)}\n", "utf-8")
        assert load({}, Path(folder)).get("POSTGRES_DB") == value


@pytest.mark.parametrize("name", [".env", "sparktrends.toml"])
def test_a_file_in_another_encoding_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes("# schön\n".encode("latin-1"))
    with pytest.raises(BadSetting, match=f"{name} is not UTF-8: save it"):
        load({}, tmp_path)


@pytest.mark.parametrize(
    "toml",
    [
        "[stale_after_s]\nbinance = 'long'",
        "[retention]\n1min = 30",
        "[retention]\nnews = 7",
        "[stale_after_s]\nbinance = nan",
        "[limits]\ngrace = nan",
        "[limits]\ngrace = true",
        "[limits]\nsettel = 1",
        "[net]\nallow = 'gateway'",
        "[net]\nalow = ['gateway']",
        "[tags]\nAAPL = 'tech'",
        "[tags]\nAAPL = 5",
        "[rules]\nfil = 'my-rules.toml'",
        "[rules]\nfile = 5",
        "[alerts]\noperational = 'no'",
        "[alerts]\nchannel = 'slack'",
        "[daily]\ncall = 'x'",
        "[channels.webhok]\nurl = 'https://a.example'",
        "[api]\nrates = 5",
        "[api]\nrate = 0",
        "[api]\nport = 'http'",
        "[api]\norigins = 'https://a.example'",
        "[sentiment]\nwords = 5",
        "[sources.binanse]\nrest = 'https://a.example'",
        "[spark]\nmemmory = '2g'",
        "[spark.conf]\n'executor.memory' = '2g'",
        "[sandbox]\nrate = 'fast'",
        "[sandbox]\nport = 5",
    ],
)
def test_a_setting_that_would_not_hold_is_refused_before_anything_starts(tmp_path: Path, toml: str) -> None:
    with pytest.raises(BadSetting):
        require_good_settings(made(tmp_path, toml=toml), lambda: 0)
    (tmp_path / "sparktrends.toml").unlink()
    require_good_settings(made(tmp_path), lambda: 0)


def test_how_a_broker_is_entered_is_refused_before_anything_starts_where_one_is_entered(tmp_path: Path) -> None:
    toml = "[kafka]\n'security.protocol' = 'TLS'"
    require_good_settings(made(tmp_path, toml=toml), lambda: 0)
    with pytest.raises(BadSetting, match="SASL_SSL"):
        require_good_settings(made(tmp_path, KAFKA_BOOTSTRAP="broker.test:9092"), lambda: 0)


@pytest.mark.parametrize("toml", ["signals = 1", "signals = '1d'", "intervals = ['1d']"])
def test_candlesticks_are_said_at_a_list_of_intervals(tmp_path: Path, toml: str) -> None:
    with pytest.raises(BadSetting):
        candlesticks_of(made(tmp_path, toml=f"[candlesticks]\n{toml}"))


def test_an_alias_stands_behind_the_name(tmp_path: Path) -> None:
    assert made(tmp_path, BIDANCE_API_KEY="alias").get("BINANCE_API_KEY") == "alias"
    both = made(tmp_path, BIDANCE_API_KEY="alias", BINANCE_API_KEY="name")
    assert both.get("BINANCE_API_KEY") == "name"


def test_no_secret_is_in_the_repr(tmp_path: Path) -> None:
    found = made(tmp_path, POSTGRES_PASSWORD="hush-hush", SLACK_WEBHOOK="https://hooks/hush-hush", **THEIRS)
    assert "hush-hush" not in repr(found)
    assert "hush-hush" not in repr(found.external())
    assert set(found.secrets()) == {"hush-hush", "https://hooks/hush-hush"}


def test_secrets_that_everybody_can_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BIDANCE_API_KEY=k\n")
    (tmp_path / ".env").chmod(0o644)
    with pytest.raises(BadSetting, match="chmod 600"):
        load({}, tmp_path)
    (tmp_path / ".env").write_text("POSTGRES_PORT=1\nFINNHUB_API_KEY=\n")
    assert load({}, tmp_path).get("POSTGRES_PORT") == "1"


@pytest.mark.parametrize(
    ("dotenv", "toml", "said"),
    [
        ("POSTGRES_DB\n", "", "line 1: not NAME=value"),
        ("", "[ports", "cannot be read"),
        ("", "ports = 3", "is not a table"),
        ("", "[ports]\ndatabase = 1", "there are"),
        ("", "[ports]\napi = 70000", "is no port"),
        ("POSTGRES_PORT=http\n", "", "POSTGRES_PORT = 'http' is no port"),
        ("", "[channel.webhook]\nurl = 'x'", r"\[channel\] in .* means nothing: there are alerts"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, dotenv: str, toml: str, said: str) -> None:
    with pytest.raises(BadSetting, match=said):
        made(tmp_path, dotenv, toml).wanted_ports(PORTS)


def test_bare_ports_are_wishes(tmp_path: Path) -> None:
    found = made(tmp_path, toml="[ports]\napi = 8001", POSTGRES_PORT="6000", KAFKA_BOOTSTRAP=":7000")
    assert found.wanted_ports(PORTS) == {"postgres": 6000, "kafka": 7000, "api": 8001}
    assert (found.external().kafka, found.external().database) == (None, None)


def test_a_host_means_that_somebody_else_runs_it(tmp_path: Path) -> None:
    found = made(tmp_path, **THEIRS, POSTGRES_USER="me", KAFKA_BOOTSTRAP="k1:9092,k2:9092")
    database = found.external().database
    assert database is not None
    assert (database.host, database.port, database.name, database.owner) == ("db", 5432, "sparktrends", "me")
    assert found.external().kafka == "k1:9092,k2:9092"
    assert found.wanted_ports(PORTS) == PORTS


def test_spark_runs_here_unless_told(tmp_path: Path) -> None:
    assert made(tmp_path).spark_master == "local[*]"
    assert made(tmp_path, SPARK_MASTER="spark://m:7077").spark_master == "spark://m:7077"


def test_spark_listens_on_loopback_unless_a_cluster_must_call_it(tmp_path: Path) -> None:
    assert made(tmp_path, SPARK_MASTER="spark://m:7077").spark_local_ip == "127.0.0.1"
    assert made(tmp_path, SPARK_LOCAL_IP="10.0.0.7").spark_local_ip == "127.0.0.1"
    assert made(tmp_path, "SPARK_LOCAL_IP=10.0.0.7\n", SPARK_MASTER="spark://m:7077").spark_local_ip == "10.0.0.7"


@pytest.mark.parametrize("value", ["", "0"])
def test_who_says_that_this_is_no_container_is_on_loopback(tmp_path: Path, value: str) -> None:
    found = made(tmp_path, f"SPARKTRENDS_CONTAINER={value}\n")
    assert (found.contained, found.listen) == (False, "127.0.0.1")
    stores = {"KAFKA_BOOTSTRAP": "k:9092", "POSTGRES_PASSWORD": "x1y2", "POSTGRES_READER_PASSWORD": "x3y4", **THEIRS}
    assert not api_config(made(tmp_path, **stores)).contained
    (tmp_path / "sparktrends.toml").write_text('[channels.ops]\nurl = "https://x.example/tiger"\n')
    (tmp_path / "sparktrends.toml").chmod(0o644)
    with pytest.raises(BadSetting, match="everybody can read"):
        made(tmp_path)


def test_a_container_is_said_by_a_1_alone(tmp_path: Path) -> None:
    found = made(tmp_path, SPARKTRENDS_CONTAINER="1")
    assert (found.contained, found.listen) == (True, "0.0.0.0")
    for value in ("false", "no", "true"):
        with pytest.raises(BadSetting, match=f"SPARKTRENDS_CONTAINER = '{value}'"):
            made(tmp_path, SPARKTRENDS_CONTAINER=value)


def test_the_home_is_that_of_the_command_line_then_of_the_settings(tmp_path: Path) -> None:
    env = {"SPARKTRENDS_HOME": str(tmp_path / "b")}
    assert load(env, tmp_path, tmp_path / "a").home == tmp_path / "a"
    assert load(env, tmp_path).home == tmp_path / "b"


@given(st.text(max_size=8) | st.integers(-5, 70_000).map(str))
def test_a_port_is_a_number_or_a_sentence(text: str) -> None:
    if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
        assert port_number("X", text) == int(text)
    else:
        with pytest.raises(BadSetting, match="X = "):
            port_number("X", text)
