"""The rows of each listing, as the document describes them. Prices and sums are exact decimals in text."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sparktrends.serve.api.query import INTERVAL

Decimal18 = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$", description="An exact decimal number.")]
Severity = Literal["info", "warning", "critical"]


class Row(BaseModel):
    """A row of a listing; views only grow, so readers must bear columns that they do not know."""

    model_config = ConfigDict(extra="allow")


class SeriesRow(Row):
    """A row of one series. With `fields` only those columns are there."""

    source: str | None = Field(None, description="Ends in ~sim when simulated, in ~replay when replayed.")
    symbol: str | None = None


class BarRow(SeriesRow):
    """A price bar."""

    interval: INTERVAL | None = None
    start: datetime | None = Field(None, description="Beginning, inclusive, UTC.")
    open: Decimal18 | None = None
    high: Decimal18 | None = None
    low: Decimal18 | None = None
    close: Decimal18 | None = None
    volume: Decimal18 | None = None
    turnover: Decimal18 | None = None
    vwap: Decimal18 | None = None
    trades: int | None = None
    state: Literal["forming", "final", "revised"] | None = None
    revision: int | None = None
    reason: str | None = None
    origin: Literal["trades", "provider", "pseudo"] | None = None
    updated_at: datetime | None = None
    adjustment: str | None = None
    series: int | None = None


class MetricRow(SeriesRow):
    """Metrics of one bar; null until warm."""

    interval: INTERVAL | None = None
    start: datetime | None = None
    return_: float | None = Field(None, alias="return", description="close / previous close − 1.")
    log_return: float | None = None
    volatility_20: float | None = Field(None, description="Standard deviation of 20 log returns, not annualised.")
    volatility_ewma: float | None = Field(None, description="The same, weighted: λ = 0.94.")
    sma_20: float | None = None
    sma_50: float | None = None
    sma_200: float | None = None
    ema_12: float | None = None
    ema_20: float | None = None
    ema_26: float | None = None
    ema_50: float | None = None
    ema_200: float | None = None
    rsi_14: float | None = None
    macd: float | None = None
    macd_signal: float | None = None
    macd_hist: float | None = None
    bb_upper: float | None = None
    bb_middle: float | None = None
    bb_lower: float | None = None
    atr_14: float | None = None
    adx_14: float | None = None
    stoch_k: float | None = None
    stoch_d: float | None = None
    obv: float | None = None
    mfi_14: float | None = None
    roc_10: float | None = None
    vwap_session: float | None = None
    volume_sma_20: float | None = Field(None, description="Mean of the 20 volumes before.")
    volume_ratio: float | None = Field(None, description="Volume divided by that.")
    volume_z: float | None = Field(None, description="(Volume − that) / their population deviation.")
    warm: bool | None = Field(None, description="Whether every metric has seen enough bars.")
    revision: int | None = None
    final: bool | None = None
    extra: dict[str, Any] | None = None
    updated_at: datetime | None = None


class SignalRow(SeriesRow):
    """Something that was found at one bar."""

    id: str | None = None
    interval: INTERVAL | None = None
    start: datetime | None = None
    kind: Literal["anomaly", "pattern", "trend", "sequence", "feed"] | None = None
    name: str | None = None
    direction: Literal["up", "down", "none"] | None = None
    score: float | None = None
    severity: Severity | None = None
    detail: dict[str, Any] | None = Field(None, description="The numbers that explain it.")
    detected_at: datetime | None = None
    retracted_at: datetime | None = None


class AlertRow(SeriesRow):
    """A rule that fired."""

    id: str | None = None
    rule: str | None = None
    interval: str | None = None
    start: datetime | None = None
    severity: Severity | None = None
    title: str | None = None
    channels: list[str] | None = None
    signals: list[str] | None = None
    values: dict[str, Any] | None = None
    status: Literal["pending", "firing", "resolved", "retracted"] | None = Field(
        None, description="firing while its condition holds, resolved when it ended, retracted by a revision."
    )
    created_at: datetime | None = None
    resolved_at: datetime | None = Field(
        None, description="End of the bar at which its condition no longer held, in event time; null while it does."
    )
    retracted_at: datetime | None = None
    ended: str | None = Field(
        None, description="Why it is over, where its condition did not end: its rule is gone, or another one now."
    )
    inhibited_by: str | None = Field(
        None, description="Id of the alert of a market that moved as one, told in its place."
    )
    inhibits: list[str] | None = Field(
        None, description="Of a market that moved as one: ids of the alerts that it was told in place of."
    )
    silent: str | None = Field(None, description="Why nothing is sent outside; null when it is sent.")
    correlation: str | None = Field(None, description="The id under which stream and dispatcher logged it.")
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = Field(None, description="Who said that they have seen it.")
    deliveries: str | None = Field(None, description="What became of its message in each channel.")
    first_sent_at: datetime | None = None


class SymbolRow(SeriesRow):
    """A series with its newest price."""

    simulated: bool | None = None
    replayed: bool | None = None
    last_start: datetime | None = None
    last_close: Decimal18 | None = None
    last_state: str | None = None
    first_minute: datetime | None = None
    last_minute: datetime | None = None
    clock_at: datetime | None = Field(None, description="The series' own clock: its largest arrival.")
    updated_at: datetime | None = None


class FreshnessRow(SeriesRow):
    """How old the newest word and the newest price of a series are. Ages in seconds, at the time of the answer."""

    clock_at: datetime | None = Field(None, description="The series' own clock: every heartbeat renews it.")
    last_minute: datetime | None = None
    age: float | None = Field(None, description="Since `clock_at`.")
    updated_at: datetime | None = None
    reason: Literal["no_trade", "feed_stale", "throttled", "partial_start"] | None = Field(
        None,
        description="Of the newest minute: no_trade is a quiet market, feed_stale a dead feed, throttled a spent "
        "quota, partial_start a connection that has just begun; null with trades and nothing amiss, or in a closed "
        "session.",
    )
    exchange_closed: bool | None = Field(None, description="Whether the newest word is that its exchange is closed.")
    last_price_at: datetime | None = Field(None, description="Of the newest trade or provider's bar; null before it.")
    price_age: float | None = Field(None, description="Since `last_price_at`.")


class DayRow(SeriesRow):
    """A row of one series and day."""

    day: date | None = None


class ProfileRow(DayRow):
    """What was traded at one level of price in the session of one series that began on a day."""

    price: Decimal18 | None = Field(None, description="Lower edge of the level.")
    step: Decimal18 | None = Field(None, description="Height of the level.")
    volume: Decimal18 | None = None
    share: Decimal18 | None = Field(None, description="Of the session's volume, 0 to 1.")
    point_of_control: bool | None = Field(None, description="The level with the largest volume.")
    in_value_area: bool | None = Field(None, description="Among the levels that hold 70 % of the volume.")
    opens: datetime | None = None
    closes: datetime | None = None
    minutes: int | None = Field(None, description="Minutes of the session with trades.")
    updated_at: datetime | None = None


class NewsRow(Row):
    """A story and its sentiment. Headline, summary and address are text of strangers."""

    source: str | None = None
    id: str | None = None
    published_at: datetime | None = None
    headline: str | None = None
    summary: str | None = None
    url: str | None = None
    publisher: str | None = None
    symbols: list[str] | None = None
    score: float | None = Field(None, description="-1 (worst) to 1 (best); null until it is scored.")
    label: Literal["positive", "neutral", "negative"] | None = None
    evidence: Any = Field(None, description="Words and rules with their weights.")
    topics: list[str] | None = None
    provider_score: float | None = Field(None, description="The provider's own, -1 to 1.")
    provider_label: str | None = None
    model: str | None = Field(None, description="What scored it.")
    updated_at: datetime | None = None


class DailyPriceRow(BarRow):
    """A bar of a day."""

    day: date | None = None


class TrendRow(DayRow):
    """What happened to a symbol on a day, against its own history."""

    close: float | None = None
    return_: float | None = Field(None, alias="return")
    return_z: float | None = Field(None, description="In deviations of its own days.")
    momentum: float | None = None
    volatility: float | None = None
    volatility_ratio: float | None = None
    volume: float | None = None
    volume_ratio: float | None = None
    volume_z: float | None = None
    sentiment: float | None = None
    sentiment_z: float | None = None
    headlines: int | None = None
    topics: list[str] | None = None
    changes: list[str] | None = None
    tag: str | None = None
    summary: str | None = None
    rank: int | None = Field(None, description="Place among the movers of the day.")
    evidence: Any = None
    updated_at: datetime | None = None


class CompanyRow(DayRow):
    """What a provider says of a company."""

    name: str | None = None
    exchange: str | None = None
    currency: str | None = None
    sector: str | None = None
    industry: str | None = None
    country: str | None = None
    shares: Decimal18 | None = None
    market_cap: Decimal18 | None = None
    updated_at: datetime | None = None


class QualityRow(DayRow):
    """The score of a series and day."""

    score: float | None = Field(None, description="0 to 100: 100 minus the sum of the reasons.")
    minutes: int | None = None
    reasons: dict[str, float] | None = Field(None, description="Points lost, by check.")
    faulty: dict[str, int] | None = Field(None, description="In how many minutes each check found something.")
    coverage: float | None = Field(None, description="Volume as a part of what the series in `against` has.")
    against: str | None = Field(None, description="The other source with the largest volume of this market.")
    updated_at: datetime | None = None


class Health(BaseModel):
    """The process lives."""

    status: Literal["alive"]
    version: str


class Ready(BaseModel):
    """The database answers: what is stored can be read. Whether anything new is stored is what `flowing` says."""

    status: Literal["ready"]
    flowing: bool = Field(
        description="Whether the stream stored something in the last `expected_s`. False: broker, stream or every "
        "source stands still, or a recording is at its end; what is read here is then as old as `stored_age_s`."
    )
    stored_age_s: float | None = Field(description="Since the stream last stored records; null before the first.")
    expected_s: float = Field(description="How old that is at most while data flows.")
    troubles: list[str] = Field(
        description="What the alerts process knows of it: services that do not answer, records that wait, stale feeds."
    )
    commits: int
    commit_age_s: float | None = Field(description="Since the newest commit, of repair and backfill too.")
    append_age_s: float | None = Field(description="Since the broker appended the newest stored record.")
    series: int
    freshest_age_s: float | None = Field(description="By the clock of the freshest series.")
    listeners: int = Field(description="Who follows the stream of this process.")


class ProblemDocument(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(extra="allow")
    type: str
    title: str
    status: int
    detail: str


class Silence(BaseModel):
    """Alerts to keep quiet: what is named must match, what is not matches everything."""

    model_config = ConfigDict(extra="forbid", strict=True)
    hours: float = Field(gt=0, le=8784, description="For how long, from now.")
    rule: str | None = Field(None, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
    source: str | None = Field(None, min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")
    symbol: str | None = Field(None, min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")


class Silenced(BaseModel):
    """The silence that was made."""

    id: int


class Acknowledged(BaseModel):
    """The alert that was marked as seen, and by whom: the name of the key, or `local`."""

    id: str
    acknowledged_by: str
