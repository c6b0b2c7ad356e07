"""Price files: the formats that occur, and one named error for each way they break."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pytest

from backstop.risk.data import frozen, read_bars, require_tail_points
from backstop.risk.errors import BadSeries, TooFewTailPoints

HEADER = "open_time,open,high,low,close,volume\n"
T0 = 1_760_054_400


def _rows(*changes: tuple[int, str], count: int = 5) -> str:
    """`count` minute bars from 2025-10-10; changes: (index, line that replaces it)."""
    lines = [f"{(T0 + 60 * i) * 1000},100,101,99,100.5,7" for i in range(count)]
    for index, line in changes:
        lines[index] = line
    return HEADER + "\n".join(lines) + "\n"


def _read(text: str, **options):
    return read_bars(io.StringIO(text), **options)


# -- formats -------------------------------------------------------------------------------------


def test_reads_klines_with_header():
    bars = _read(_rows())
    assert len(bars) == 5 and bars.step == 60 and bars.gaps == ()
    assert bars.time.tolist() == [T0 + 60 * i for i in range(5)]
    assert (bars.open[0], bars.high[0], bars.low[0], bars.close[0], bars.volume[0]) == (
        100, 101, 99, 100.5, 7,
    )  # fmt: skip
    assert bars.row.tolist() == [2, 3, 4, 5, 6]
    assert bars.log_returns() == pytest.approx(np.zeros(4))


def test_reads_klines_without_header():
    text = _rows().split("\n", 1)[1].replace(",7\n", ",7,1760054459999,0,60,0,0,0\n")
    bars = _read(text)
    assert len(bars) == 5 and bars.row[0] == 1 and bars.close[0] == 100.5


@pytest.mark.parametrize(
    "form",
    [
        lambda t: str(t),
        lambda t: str(t * 1000),
        lambda t: str(t * 1_000_000),
        lambda t: np.datetime_as_string(np.datetime64(t, "s")) + "Z",
        lambda t: np.datetime_as_string(np.datetime64(t, "s")) + "+00:00",
        lambda t: np.datetime_as_string(np.datetime64(t, "s")).replace("T", " "),
    ],
)
def test_reads_every_usual_time(form):
    text = "Date,Open,High,Low,Close,Volume\n"
    text += "".join(f"{form(T0 + 3600 * i)},1,2,0.5,1.5,0\n" for i in range(3))
    bars = _read(text)
    assert bars.time.tolist() == [T0, T0 + 3600, T0 + 7200]
    assert bars.step == 3600


def test_columns_in_any_order_and_volume_optional():
    text = "close,ts,low,extra,high,open\n2,1760054400,1,x,3,2.5\n2,1760054460,1,x,3,2.5\n"
    bars = _read(text)
    assert (bars.open[0], bars.high[0], bars.low[0], bars.close[0]) == (2.5, 3, 1, 2)
    assert bars.volume.tolist() == [0.0, 0.0]


def test_filters_by_column_value():
    text = "symbol,ts,open,high,low,close\n"
    for i in range(3):
        text += f"A,{T0 + 60 * i},1,2,1,2\nB,{T0 + 60 * i},10,20,10,20\n"
    assert _read(text, where={"symbol": "B"}).close.tolist() == [20, 20, 20]
    with pytest.raises(BadSeries, match=r"row 3: .*repeats"):
        _read(text)
    with pytest.raises(BadSeries, match="0 bars are left"):
        _read(text, where={"symbol": "C"})
    with pytest.raises(BadSeries, match="no column venue"):
        _read(text, where={"venue": "x"})


def test_reads_compressed_files(tmp_path):
    path = tmp_path / "bars.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write(_rows())
    assert len(read_bars(path)) == 5
    assert len(read_bars(str(path))) == 5


def test_reads_the_reference_files(reference):
    bars = read_bars(reference("btc_perp_1h_2020-01_2024-04.csv.gz"))
    assert (len(bars), bars.step, bars.gaps) == (37_660, 3600, ())
    crash = read_bars(
        reference("crash_windows_hourly.csv"),
        where={"window": "covid_2020-03-12", "symbol": "ETHUSDT"},
    )
    assert len(crash) == 96
    minutes = read_bars(reference("ref/btc_index_1m_2025-10-10.csv"))
    assert (len(minutes), minutes.step) == (1440, 60)


# -- errors --------------------------------------------------------------------------------------

BAD_LINES = [
    ("{t},0,101,99,100,7", "open is 0.0 <= 0"),
    ("{t},100,101,-1,100,7", "low is -1.0 <= 0"),
    ("{t},100,99,98,100,7", "cannot be one bar"),
    ("{t},100,101,100.2,100.5,7", "cannot be one bar"),
    ("{t},100,101,99,abc,7", "close is 'abc', not a number"),
    ("{t},100,inf,99,100,7", "high is 'inf', not a number"),
    ("{t},nan,101,99,100,7", "open is 'nan', not a number"),
    ("{t},100,101,99,100,-7", "volume is -7.0 < 0"),
    ("{t},100,101", "cut off"),
    ("yesterday,100,101,99,100,7", "'yesterday' cannot be read"),
    ("12,100,101,99,100,7", "12 is not a Unix time"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES)
def test_bad_lines_are_named(line, reason):
    text = _rows((2, line.format(t=(T0 + 120) * 1000)))
    with pytest.raises(BadSeries, match="row 4: ") as caught:
        _read(text)
    assert reason in str(caught.value)
    assert caught.value.row == 4 and caught.value.remedy


def test_duplicate_times():
    with pytest.raises(BadSeries, match=r"row 4: .*2025-10-10T00:01:00Z repeats") as caught:
        _read(_rows((2, f"{(T0 + 60) * 1000},100,101,99,100,7")))
    assert caught.value.remedy == "remove the duplicate."


def test_times_backwards():
    text = _rows((3, f"{(T0 - 60) * 1000},100,101,99,100,7"))
    with pytest.raises(BadSeries, match=r"row 5: .*before the bar above"):
        _read(text)


def test_gaps_are_refused_or_reported():
    lines = _rows(count=8).splitlines()
    text = "\n".join(lines[:4] + lines[6:]) + "\n"
    with pytest.raises(
        BadSeries, match=r"row 5: 2 bars of 60 s are missing before 2025-10-10T00:05"
    ):
        _read(text)
    bars = _read(text, allow_gaps=True)
    assert bars.gaps == ((3, 2),) and len(bars) == 6


def test_times_off_the_grid():
    text = _rows((4, f"{(T0 + 255) * 1000},100,101,99,100,7"))
    with pytest.raises(BadSeries, match=r"row 6: .*no multiple of 60 s"):
        _read(text)
    with pytest.raises(BadSeries, match="no multiple of 120"):
        _read(_rows(), step=120)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (HEADER, "0 bars are left"),
        ("time,open,high,low\n1,2,3,4\n", "no column close"),
        ("when,open,high,low,close\n1,2,3,4,5\n", "no column open_time or timestamp"),
        ("1760054400,1,2,1\n", "4 columns without header"),
    ],
)
def test_bad_files(text, reason):
    with pytest.raises(BadSeries, match=reason):
        _read(text)


def test_filter_needs_a_header():
    with pytest.raises(BadSeries, match="no header to filter"):
        _read(_rows().split("\n", 1)[1], where={"symbol": "A"})


def test_missing_file(tmp_path):
    with pytest.raises(BadSeries, match="does not exist"):
        read_bars(tmp_path / "nothing.csv")


def test_blank_lines_do_not_shift_the_row_numbers():
    text = _rows((3, f"{(T0 + 180) * 1000},0,101,99,100,7")).replace("\n", "\n\n", 2)
    with pytest.raises(BadSeries, match="row 7: open is 0"):
        _read(text)


def test_tail_points():
    require_tail_points(3000, 0.99)
    with pytest.raises(TooFewTailPoints, match="at least 3,000 bars"):
        require_tail_points(2999, 0.99)


def test_frozen_readings():
    first, second = np.array([1.0, 2, 2, 2, 3, 3]), np.array([1.0, 5, 5, 5, 6, 7])
    assert frozen(first, second).tolist() == [False, True, True, True, False, False]
