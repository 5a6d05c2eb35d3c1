"""Diagrams: what is drawn, and what is refused."""

import numpy as np
import pytest

import gradbook as gb


def test_a_network_has_its_dots_lines_and_labels():
    fig = gb.show.network([3, 4, 2], ["x", "h", "z"], "there", "back", strength=[0.2, 0.9])
    ax = fig.axes[0]
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [len(line.get_ydata()) for line in dots] == [3, 4, 2]
    assert len(ax.lines) - len(dots) == 3 * 4 + 4 * 2
    assert {"x", "h", "z", "there", "back"} <= {text.get_text() for text in ax.texts}


@pytest.mark.parametrize(
    "options, says",
    [
        ({"labels": ["x"]}, "3 sizes and 1 labels"),
        ({"strength": [1.0]}, "give 2 numbers between 0 and 1"),
        ({"strength": [1.0, 7.0]}, "give 2 numbers between 0 and 1"),
    ],
)
def test_what_does_not_fit_is_told(options, says):
    with pytest.raises(ValueError, match=says):
        gb.show.network(**{"sizes": [3, 4, 2], "labels": ["x", "h", "z"]} | options)


def test_a_graph_has_its_boxes_words_and_arrows():
    edges = {("x", "z"): "2", ("w", "z"): ""}
    fig = gb.show.graph({"x": (0, 0), "w": (0, 1), "z": (1, 0)}, edges, {"x": "3"}, {"z": "δ"})
    ax = fig.axes[0]
    assert {"x", "w", "z", "2", "3", "δ"} <= {text.get_text() for text in ax.texts}
    assert (
        sum(text.arrow_patch is not None for text in ax.texts if hasattr(text, "arrow_patch")) == 2
    )
    with pytest.raises(ValueError, match=r"\['y'\] are no nodes; there are x"):
        gb.show.graph({"x": (0, 0)}, {("x", "y"): ""}, {}, {})


def test_a_histogram_is_as_numpy_counts():
    _, ax = gb.plot.axes()
    values, bins = np.random.default_rng(0).normal(size=999), np.linspace(-4, 4, 9)
    gb.show.spread(ax, {7: values}, "#0077bb", "z", bins)
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    counts, _ = np.histogram(values, bins)
    assert heights.max() == pytest.approx(0.85)
    assert set(np.round(0.85 * counts / counts.max(), 6)) <= set(np.round(heights, 6))


def test_a_histogram_draws_its_last_bin_as_wide_as_the_others():
    _, ax = gb.plot.axes()
    gb.show.spread(ax, {1: np.array([-1.0, 1.0])}, "#0077bb", "h", np.linspace(-1, 1, 5))
    corners = ax.collections[0].get_paths()[0].vertices
    assert set(corners[corners[:, 1] > 0.8][:, 0]) == {-1, -0.5, 0.5, 1}
