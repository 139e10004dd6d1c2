"""Compiled code is kept where it can be, and does without where it cannot."""

from __future__ import annotations

import logging
import subprocess
import sys

import numpy as np
from numba import types

from sparktrends.detectors import compiling
from sparktrends.detectors.compiling import READ_VECTOR, VECTOR, compile_kept


def double(a, out):
    for i in range(len(a)):
        out[i] = 2.0 * a[i] / a[i]


def test_division_by_zero_is_nan_not_an_error():
    out = np.empty(1)
    compile_kept(double, READ_VECTOR, VECTOR)(np.zeros(1), out)
    assert np.isnan(out[0])


def test_without_a_place_to_keep_it_compiles_anyway(monkeypatch, caplog):
    real = compiling.njit

    def nowhere(signature, *, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(signature, **options)

    monkeypatch.setattr(compiling, "njit", nowhere)
    out = np.empty(1)
    with caplog.at_level(logging.WARNING):
        compile_kept(double, types.Array(types.float64, 1, "C"), VECTOR)(np.ones(1), out)
    assert out[0] == 2.0
    assert "cannot be kept" in caplog.text


def test_a_second_process_finds_what_the_first_compiled(tmp_path):
    code = (
        "from sparktrends.detectors import bundle, compiling, Detectors; kept = []\n"
        "bundle.compile_kept = lambda *a: kept.append(compiling.compile_kept(*a)) or kept[-1]\n"
        "Detectors((), chosen=('price_move',)).prepare(); print(sum(kept[0].stats.cache_hits.values()))"
    )
    environment = {"NUMBA_CACHE_DIR": str(tmp_path), "PATH": ""}
    runs = [
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert [run.stdout.strip() for run in runs] == ["0", "1"]
