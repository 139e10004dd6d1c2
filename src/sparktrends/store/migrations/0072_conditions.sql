-- A condition of the operation is one alert until it is over; a market may move again while people still look at the last.
DROP INDEX core.alerts_condition;
CREATE UNIQUE INDEX alerts_condition ON core.alerts (rule, subject)
    WHERE subject IS NOT NULL AND status = 'firing' AND rule LIKE 'ops.%';
