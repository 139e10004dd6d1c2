"""Which scorer the settings choose for the news: ``[sentiment]``."""

from __future__ import annotations

from pathlib import Path

from sparktrends.errors import BadSetting
from sparktrends.ops.settings import Settings
from sparktrends.sentiment import Chosen


def chosen_of(settings: Settings) -> Chosen:
    """What ``[sentiment]`` chooses: ``transformer``, a model's folder, or ``words``, a Loughran–McDonald file.

    Raises BadSetting for both, or for what is no path; what is not there is found when it is loaded.
    """
    told = settings.only("sentiment", "transformer", "words")
    for name, value in told.items():
        if not isinstance(value, str) or not value:
            raise BadSetting(f"[sentiment] {name} = {value!r} is no path", hint=f'write {name} = "/a/path"')
    if len(told) > 1:
        raise BadSetting("[sentiment] names a transformer and words", hint="one scores the news: leave one out")
    # Absolute, because Spark's workers have working folders of their own.
    return Chosen(**{name: Path(value).absolute() for name, value in told.items()})
