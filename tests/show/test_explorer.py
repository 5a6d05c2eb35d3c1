"""The Explorer's Python side: positions, live computation, words and pictures."""

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import traitlets
import xarray as xr

import gradbook as gb
from gradbook import record


def small(depth=(2, 3), kind=("a", "b")):
    depth, kind = list(np.atleast_1d(depth).tolist()), list(np.atleast_1d(kind).tolist())
    values = np.arange(len(depth) * len(kind) * 3).reshape(len(depth), len(kind), 3) + 1.0
    return xr.Dataset(
        {
            "loss": (("depth", "kind", "step"), values),
            "rate": (("depth", "kind"), values[..., 0] / 10),
            "over": (("depth", "kind"), values[..., 0] > 9),
        },
        {"depth": depth, "kind": kind, "step": [0, 1, 2]},
    )


def explorer(**changes):
    settings = (
        dict(
            name="test",
            title="A <test>",
            caption="At depth {depth} the rate is {rate:2} & it is {kind}.",
            notes=[("over", "Over at {depth}!")],
        )
        | changes
    )
    return gb.Explorer(
        settings.pop("data", small()),
        settings.pop("views", gb.Lines(x="step", points=("loss",))),
        **settings,
    )


def test_controls_are_traits_and_words_follow():
    made, seen = explorer(), []
    made.observe(lambda change: seen.append(change["new"]), "depth")
    assert made.words() == "At depth 2 the rate is 0.1 & it is a."
    made.depth, made.kind = 3, "b"
    assert seen == [3] and made.words() == "At depth 3 the rate is 1 & it is b. Over at 3!"
    with pytest.raises(traitlets.TraitError):
        made.depth = 99
    with pytest.raises(traitlets.TraitError):
        made.kind = "c"


def test_off_the_grid_is_computed_live():
    asked = []

    def live(depth, kind):
        asked.append((depth, kind))
        return small([depth], [kind])

    made = explorer(data=small((2, 9)), live=live, fine={"depth": 1})
    made.depth = 5
    assert asked == [(5, "a")] and made._live["position"] == {"depth": 5, "kind": "a"}
    assert made.here().loss.values.tolist() == [1.0, 2.0, 3.0] and made.words().startswith(
        "At depth 5 the rate is 0.1"
    )
    made.depth = 9
    assert len(asked) == 1


def test_off_the_grid_without_live_is_an_error():
    with pytest.raises(traitlets.TraitError, match=r"must be one of \[2, 9\]"):
        explorer(data=small((2, 9))).depth = 5


def test_after_an_error_the_position_is_one_that_has_data():
    made = explorer(data=small((2, 9)))
    with pytest.raises(traitlets.TraitError):
        made.depth = 5
    assert made.depth == 2 and made.words().startswith("At depth 2")

    def fails(depth, kind):
        raise MemoryError

    made = explorer(data=small((2, 9)), live=fails)
    with pytest.raises(MemoryError):
        made.depth = 5
    assert made._asked is None
    with pytest.raises(RuntimeError, match="'depth': 5.* was not computed"):
        made.words()


def test_page_holds_picture_words_and_data():
    made = explorer()
    page = made._repr_mimebundle_()[0]["text/html"]
    assert "A &lt;test&gt;" in page and "0.1 &amp; it is a" in page
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page, re.S)[1])
    xr.testing.assert_allclose(
        record.unpack(state["_data"]), small().assign(over=small().over.astype(float)), rtol=1e-4
    )
    picture = ET.fromstring(re.search(r"<svg.*?</svg>", gb.plot.inline(page), re.S)[0])
    assert picture.get("role") == "img" and "At depth 2 the rate" in page
    assert picture.get("aria-label") == "step. training loss: 1 at 0 to 3 at 2."


def test_script_cannot_be_broken_out_of():
    page = explorer(title="</script><script>alert(1)</script>")._repr_mimebundle_()[0]["text/html"]
    assert page.count("<script") == 1 and page.count("</script>") == 1


def test_heat_map():
    data = xr.Dataset(
        {"accuracy": (("y", "x"), [[0.1, 0.9], [0.5, 0.2]]), "edge": ("x", [1.5, 1.0])},
        {"x": [1.0, 2.0], "y": [1, 2]},
    )
    made = explorer(
        data=data,
        views=gb.Heat(x="x", y="y", value="accuracy", line="edge"),
        caption="At {x} and {y} accuracy is {accuracy}.",
        notes=(),
    )
    assert (
        made.words() == "At 1 and 1 accuracy is 0.1."
        and "<img" in made._repr_mimebundle_()[0]["text/html"]
    )


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"name": "No Good"}, "small letters, digits and hyphens"),
        ({"caption": "no"}, "say in words"),
        ({"play": "dept"}, "play names 'dept'"),
        ({"play": "kind"}, "a control with numbers"),
        ({"fine": {"dept": 1}}, "fine names 'dept'"),
        ({"caption": "At depth {deph} it is wrong."}, "'deph' is not in the data"),
        ({"start": {"depth": 7}}, "start has depth=7"),
        ({"views": gb.Lines(x="step", points=("los",))}, "'los' is not in the data"),
        ({"notes": [("ovr", "x")]}, "'ovr' is not in the data"),
        (
            {
                "data": small().rename(kind="layout"),
                "caption": "At depth {depth} it is {layout}, so.",
            },
            "name of a widget's attribute",
        ),
    ],
)
def test_bad_input_is_told_what_would_be_right(changes, says):
    with pytest.raises(ValueError, match=says):
        explorer(**changes)


def test_sentences_with_undefined_values_are_left_out():
    data = small().assign(rate=small().rate.where(small().depth > 2))
    made = explorer(
        data=data, caption=["The depth is {depth}.", "The rate is {rate}, of that kind."], notes=()
    )
    assert made.words() == "The depth is 2."
    made.depth = 3
    assert made.words() == "The depth is 3. The rate is 0.7, of that kind."


def test_a_misspelled_control_is_told_and_a_string_is_one_name():
    e = explorer()
    with pytest.raises(AttributeError, match="no control 'depht'; its controls are .*depth"):
        e.depht = 10
    assert gb.Lines("layer", "signal") == gb.Lines("layer", points=["signal"])
