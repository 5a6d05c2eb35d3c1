"""What runs on $GRADBOOK_DEVICE (`make test-gpu`; else on the CPU) agrees with networks that the
CPU trains one by one.
"""

import numpy as np
import pytest
import torch

import gradbook as gb
from gradbook import devices
from gradbook.devices import device
from gradbook.sweeps import grids

GIVEN = dict(
    depth=[2, 10, 30],
    activation=["tanh", "relu"],
    sigma_w=[0.8, 1.5],
    lr=0.03,
    seed=[0, 1],
    steps=30,
    record_every=30,
)


def one_by_one(**given):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(grids.STACK, "cpu", 1)
        return gb.sweep(**given, device="cpu")


@pytest.fixture(scope="module")
def both():
    return gb.sweep(**GIVEN), one_by_one(**GIVEN)


@pytest.mark.parametrize("quantity", ["loss", "signal", "grad_norm", "activation_rms"])
def test_at_initialization_within_a_thousandth(both, quantity):
    here, cpu = (run[quantity].sel(step=0) for run in both)
    np.testing.assert_allclose(here, cpu, rtol=1e-3)


def test_after_thirty_steps_within_a_hundredth_of_the_loss_and_two_points(both):
    here, cpu = both
    # chaotic networks amplify the last digit, which is the book's subject
    tame = cpu.sel(sigma_w=0.8)
    np.testing.assert_allclose(
        here.sel(sigma_w=0.8).loss.sel(step=30), tame.loss.sel(step=30), rtol=0.01
    )
    assert abs(here.accuracy - cpu.accuracy).mean() < 0.02


@pytest.mark.parametrize(
    "net", [gb.mlp, gb.residual, gb.dense, gb.normalized], ids=lambda net: net.__name__
)
@pytest.mark.parametrize(
    "rule", [gb.sgd, gb.adam, gb.lion, gb.muon], ids=lambda rule: rule.__name__
)
def test_every_net_and_rule_runs_there(net, rule):
    given = dict(
        net=net,
        rule=rule,
        depth=4,
        width=16,
        lr=[0.003, 0.01],
        sigma_w=1.2,
        seed=[0, 1, 2],
        steps=3,
        record_every=3,
    )
    here, cpu = gb.sweep(**given), one_by_one(**given)
    assert here.loss.notnull().all()
    np.testing.assert_allclose(here.loss, cpu.loss, rtol=1e-3)
    np.testing.assert_allclose(here.accuracy, cpu.accuracy, atol=0.01)


def test_probe_and_diagnosis_of_a_model_there():
    torch.manual_seed(0)
    layers = [m for _ in range(30) for m in (torch.nn.Linear(64, 64), torch.nn.Sigmoid())]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(64, 10))
    x, y = torch.randn(32, 64), torch.randint(10, (32,))

    def seen(where):
        model.to(where)
        return gb.probe(
            model, lambda: torch.nn.functional.cross_entropy(model(x.to(where)), y.to(where))
        )

    here, cpu = seen(device()), seen("cpu")
    np.testing.assert_allclose(here.signal, cpu.signal, rtol=1e-3)
    assert gb.diagnose(here).verdict == gb.diagnose(cpu).verdict == "vanishing"


def test_device_follows_the_environment(monkeypatch):
    monkeypatch.delenv("GRADBOOK_DEVICE", raising=False)
    assert devices.device().type == "cpu"
    monkeypatch.setenv("GRADBOOK_DEVICE", "gpu")
    with pytest.raises(ValueError, match="use cpu, cuda or cuda:1"):
        devices.device()
    with pytest.raises(ValueError, match="has no float64"):
        devices.device("mps")
    with pytest.raises(RuntimeError, match="use cpu or unset GRADBOOK_DEVICE"):
        devices.device("cuda:64")
