"""Everything kept: migrations, the one transaction, and every SELECT of the product. Knows values, counters, errors.

- `migrate` brings a database to the newest schema.
- `connect` opens connections and pools, and turns the driver's errors into ours.
- `writer` is the transaction of a micro-batch: ledger, bars, state, signals, outbox and changes, or nothing.
- `queries` is what people and processes ask for.
"""
