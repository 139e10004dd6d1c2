"""The dashboard's script; `streamlit run` on this file works too."""

from __future__ import annotations

from sparktrends.serve.dashboard.frame import Page, draw
from sparktrends.serve.dashboard.screens import daily, explore, market, news, overview, quality, signals, system

PAGES = (
    Page("market", "Market", "candlestick_chart", market.show),
    Page("overview", "Overview", "grid_view", overview.show),
    Page("signals", "Signals and alerts", "notifications", signals.show),
    Page("explore", "Explore", "query_stats", explore.show),
    Page("news", "News", "newspaper", news.show),
    Page("daily", "Daily", "calendar_month", daily.show),
    Page("quality", "Data quality", "fact_check", quality.show),
    Page("system", "System", "monitor_heart", system.show),
)

if __name__ == "__main__":
    draw(PAGES)
