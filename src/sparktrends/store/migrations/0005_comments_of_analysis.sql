-- What metrics, signals and alerts say of themselves: their migration left it out.
COMMENT ON VIEW market.metrics IS 'Indicators at every bar that shows prices. Null until enough bars were seen.';
COMMENT ON VIEW market.signals IS 'What detectors, patterns, trends, sequences and feed checks found at a bar.';
COMMENT ON VIEW market.alerts IS 'Rules that fired, with what became of their messages; and conditions of the operation.';
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT i.table_name, i.column_name, words.words FROM (VALUES
            ('', 'source', 'where the data came from; ends in ~sim when simulated, in ~replay when replayed'),
            ('', 'symbol', 'our name of the instrument, such as BTC/USD or AAPL'),
            ('', 'interval', 'length of the bar: 1m 5m 15m 1h 1d'),
            ('', 'start', 'beginning of the bar, inclusive'),
            ('', 'id', 'hash of what it is about: the same however often it is computed'),
            ('', 'severity', 'info, warning or critical'),
            ('', 'retracted_at', 'when a later revision of the bar took it back; null while it stands'),
            ('metrics', 'return', 'close / previous close - 1'),
            ('metrics', 'log_return', 'natural logarithm of close / previous close'),
            ('metrics', 'volatility_20', 'standard deviation of the last 20 log returns, ddof 1, not annualised'),
            ('metrics', 'volatility_ewma', 'square root of s, s = 0.94 s + 0.06 r^2 of the log returns r'),
            ('metrics', 'sma_20', 'mean of the last 20 closes'),
            ('metrics', 'sma_50', 'mean of the last 50 closes'),
            ('metrics', 'sma_200', 'mean of the last 200 closes'),
            ('metrics', 'ema_12', 'exponential mean of the closes, span 12, as TA-Lib'),
            ('metrics', 'ema_20', 'exponential mean of the closes, span 20, as TA-Lib'),
            ('metrics', 'ema_26', 'exponential mean of the closes, span 26, as TA-Lib'),
            ('metrics', 'ema_50', 'exponential mean of the closes, span 50, as TA-Lib'),
            ('metrics', 'ema_200', 'exponential mean of the closes, span 200, as TA-Lib'),
            ('metrics', 'rsi_14', 'relative strength index over 14 bars, 0 to 100, as TA-Lib'),
            ('metrics', 'macd', 'MACD 12/26/9 as TA-Lib: the line'),
            ('metrics', 'macd_signal', 'MACD 12/26/9 as TA-Lib: the signal line'),
            ('metrics', 'macd_hist', 'MACD 12/26/9 as TA-Lib: line minus signal line'),
            ('metrics', 'bb_upper', 'Bollinger band, 20 bars: middle + 2 population deviations'),
            ('metrics', 'bb_middle', 'Bollinger band, 20 bars: mean of the closes'),
            ('metrics', 'bb_lower', 'Bollinger band, 20 bars: middle - 2 population deviations'),
            ('metrics', 'atr_14', 'average true range over 14 bars, in the quote currency, as TA-Lib'),
            ('metrics', 'adx_14', 'average directional index over 14 bars, 0 to 100, as TA-Lib'),
            ('metrics', 'stoch_k', 'slow stochastic 14, 3, 3: %K, 0 to 100'),
            ('metrics', 'stoch_d', 'slow stochastic 14, 3, 3: %D, 0 to 100'),
            ('metrics', 'obv', 'on-balance volume since the first bar, in units of the base asset'),
            ('metrics', 'mfi_14', 'money flow index over 14 bars, 0 to 100, as TA-Lib'),
            ('metrics', 'roc_10', 'rate of change over 10 bars, in percent'),
            ('metrics', 'vwap_session', 'turnover / volume since the start of the session'),
            ('metrics', 'volume_sma_20', 'mean of the previous 20 volumes'),
            ('metrics', 'volume_ratio', 'volume / mean of the previous 20 volumes'),
            ('metrics', 'volume_z', '(volume - mean of the previous 20) / their population deviation'),
            ('metrics', 'warm', 'true when every named metric has seen as many bars as it needs'),
            ('metrics', 'revision', 'records accepted after the bar was final'),
            ('metrics', 'extra', 'metrics of the settings, by name'),
            ('metrics', 'final', 'false while the bar still forms'),
            ('metrics', 'updated_at', 'when the row last changed'),
            ('signals', 'kind', 'anomaly, pattern, trend, sequence or feed'),
            ('signals', 'name', 'what found it'),
            ('signals', 'direction', 'up, down or none'),
            ('signals', 'score', 'the finder''s own figure; larger is stronger'),
            ('signals', 'detail', 'the numbers that explain it'),
            ('signals', 'detected_at', 'when it was first committed'),
            ('alerts', 'rule', 'name of the rule; ops.… for conditions of the operation'),
            ('alerts', 'title', 'what happened, in a sentence'),
            ('alerts', 'channels', 'where the rule sends it'),
            ('alerts', 'signals', 'ids of the signals that made it'),
            ('alerts', 'values', 'what the rule saw'),
            ('alerts', 'status', 'pending, firing, resolved or retracted'),
            ('alerts', 'silent', 'why nothing is sent outside (simulated, replayed, fill, old); null when it is sent'),
            ('alerts', 'created_at', 'when it was committed'),
            ('alerts', 'resolved_at', 'when its condition ended'),
            ('alerts', 'acknowledged_at', 'when somebody acknowledged it'),
            ('alerts', 'acknowledged_by', 'who acknowledged it'),
            ('alerts', 'first_sent_at', 'when its first message was delivered'),
            ('alerts', 'deliveries', 'the state of its message on each channel')
        ) AS words(view, name, words)
        JOIN information_schema.columns i ON i.column_name = words.name AND i.table_schema = 'market'
         AND (i.table_name = words.view OR words.view = '' AND i.table_name IN ('metrics', 'signals', 'alerts'))
    LOOP
        EXECUTE format('COMMENT ON COLUMN market.%I.%I IS %L', c.table_name, c.column_name, c.words);
    END LOOP;
END $$;
