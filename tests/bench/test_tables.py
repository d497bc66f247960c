"""The figures of a benchmark as text."""

import pytest
from bench_results import MIB, result

from minigan.bench.tables import NOTHING, markdown, memory, summary, table


def cells(text):
    """The rows of all markdown tables in a text, without the rules below the headings."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return [row for row in rows if not set("".join(row)) <= set("-:")]


def test_the_table_compares_with_the_better_layout():
    assert "torch channels_last ÷ minigan: 1.50" in table(result())  # the rounds' ratios are 2 and 1


def test_memory_is_the_peak_and_what_a_sample_adds_to_what_was_there_before():
    assert memory(result(batch_size=8, a_sample=3 * MIB), "torch") == (34 * MIB, 10 * MIB, 3 * MIB)
    assert memory(result(batch_size=8, a_sample=-MIB), "torch") == (2 * MIB, 10 * MIB, 0)
    shown = table(result(batch_size=8, a_sample=3 * MIB)).splitlines()[3]
    assert shown.split()[-7:] == ["34", "MiB", "10", "MiB", "3.00", "MiB", "2"]


def test_unequal_numbers_of_threads_are_pointed_out():
    assert "OMP_NUM_THREADS" not in table(result())
    assert "OMP_NUM_THREADS sets both" in table(result(threads={"minigan": 1, "torch": 2, "torch channels_last": 2}))


@pytest.mark.parametrize(("gmac", "shown"), [(72.81, "145.6"), (1.165, "2.33"), (0.0086, "0.0172")])
def test_operations_have_three_digits(gmac, shown):
    assert f" {shown} GFLOP a step" in table(result(gmac=gmac))


def test_what_is_not_known_is_not_made_up():
    unknown = table(result(before=None, floor_s=0.0, gmac=0.0))
    assert "no matrix products in a step" in unknown
    assert "? MiB" in unknown
    assert "–" in unknown.splitlines()[3]
    assert NOTHING in table(result(seconds={"minigan": [1.0]}))


def test_the_summary_has_a_row_for_each_measurement_and_dashes_for_what_was_not_measured():
    dense = result("dense-1200", 64, None, {"minigan": [0.25], "torch": [0.5]}, floor_s=0.1, gmac=0.05)
    rows = cells(summary([result(batch_size=2), result(batch_size=4), dense]))
    assert rows[1] == ["dcgan-64", "2", "2", "1000", "1500", "3000", "2000", "1.50 (1.00 to 2.00)", "1.50"]
    assert rows[3] == ["dense-1200", "64", "0.1", "100.0", "250.0", "500.0", "–", "2.00 (2.00 to 2.00)", "2.50"]
    assert rows[5] == ["dcgan-64", "2", "12", "12", "12", "1.00", "1.00", "1.00"]
    assert rows[7] == ["dense-1200", "64", "74", "74", "?", "1.00", "1.00", "?"]


def test_growth_is_the_slope_between_the_smallest_and_the_largest_batch():
    """Which what a first step makes once doesn't change, unlike (peak − before)/batch."""
    small, large = result(batch_size=2, before=0), result(batch_size=6, before=5 * MIB)  # peaks of 2 and of 11 MiB
    assert cells(summary([large, small]))[-1] == ["dcgan-64", "2 to 6", "2.25", "2.25", "2.25"]
    assert "one more sample" not in summary([result("dcgan-32"), result("dcgan-64")])


@pytest.mark.parametrize("rows", [[["a", "b"], ["long", "1"]], [["a"], ["b"]]])
def test_markdown_stands_in_columns(rows):
    lines = markdown(rows).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert set(lines[1]) <= set("|-: ")
