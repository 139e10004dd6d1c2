"""What the settings tell the API, and what is not said."""

from __future__ import annotations

from pathlib import Path

from sparktrends.ops.answering import api_table
from sparktrends.ops.commands.serving import api_config
from sparktrends.ops.settings import Settings, load

THERE = {"POSTGRES_HOST": "127.0.0.1", "KAFKA_BOOTSTRAP": "127.0.0.1:9092"}
SAID = """[api]
host = "::1"
port = 8123
origins = ["https://pages.example.org"]
rate = 5
threads = 2.9
"""


def told(folder: Path, toml: str, **env: str) -> Settings:
    (folder / "sparktrends.toml").write_text(toml)
    return load({**THERE, **env}, folder, folder / "home")


def test_what_is_said_is_read_as_the_api_names_it(tmp_path: Path) -> None:
    found = api_table(told(tmp_path, SAID))
    assert found == {
        "host": "::1",
        "port": 8123,
        "origins": ("https://pages.example.org",),
        "rate": 5.0,
        "threads": 2,
    }
    assert api_table(told(tmp_path, "")) == {}


def test_what_was_typed_wins_over_the_port_that_up_chose_and_that_over_the_file(tmp_path: Path) -> None:
    chosen = {"SPARKTRENDS_PORT_API": "8200"}
    made = [
        api_config(told(tmp_path, SAID, **chosen), "127.0.0.2", 8300),
        api_config(told(tmp_path, SAID, **chosen)),
        api_config(told(tmp_path, SAID)),
        api_config(told(tmp_path, "")),
    ]
    assert [one.host for one in made] == ["127.0.0.2", "::1", "::1", "127.0.0.1"]
    assert [one.port for one in made] == [8300, 8200, 8123, 8000]
    assert [(one.rate, one.threads) for one in made[2:]] == [(5.0, 2), (500.0, 6)]
