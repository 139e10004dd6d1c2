"""The seed of whatever a test leaves to chance: `make faults SEED=5` tries other moments and other rubbish."""

import os

SEED = int(os.environ.get("SPARKTRENDS_FAULT_SEED", "20261121"))
