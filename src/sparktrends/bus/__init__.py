"""The bus: which topics there are, what a record looks like on the wire, and the one Kafka client.

`topics` is the table, `codec` the JSON of the contract, `kafka` the door to the broker (producer, admin, reader).
"""
